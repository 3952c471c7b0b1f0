import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RegistryError } from '../errors.ts'
import { LOOPBACK_CERTIFICATE } from '../http/loopback-certificate.test.fixture.ts'
import { readCertsDir, readCertsDirs } from './certs-dir.ts'
import { directoryNames, readHostsDirs } from './hosts-dir.ts'
import { parseHostsToml } from './hosts-toml.ts'
import { parseToml } from './toml-file.ts'

const { cert, key } = LOOPBACK_CERTIFICATE
let root: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cromwell-hosts-'))
})

afterEach(() => rm(root, { recursive: true, force: true }))

const parse = async (text: string) =>
  parseHostsToml(await parseToml(text, join(root, 'hosts.toml')))

describe('parseHostsToml', () => {
  it('reads hosts in the order of the file, and the server', async () => {
    const { hosts, server } = await parse(`server = "https://registry-1.docker.io"

[host."https://z.example"]
  capabilities = ["pull"]
  dial_timeout = "1s"
[host."http://a.example:5000/us"]
  skip_verify = true
  [host."http://a.example:5000/us".header]
    X-One = "1"
    X-Two = ["a", "b"]
[host."https://odd.example/v2/upstream"]
  capabilities = ["Pull", "resolve", "referrers"]
  override_path = true
`)
    expect(hosts.map(({ base }) => base.href)).toEqual([
      'https://z.example/v2/',
      'http://a.example:5000/us/v2/',
      'https://odd.example/v2/upstream/',
    ])
    expect(hosts.map(({ capabilities }) => capabilities)).toEqual([
      ['pull'],
      ['pull', 'resolve', 'push'],
      ['pull', 'resolve'],
    ])
    expect(hosts.map(({ tls }) => tls)).toEqual([{}, { insecure: true }, {}])
    expect(hosts[1]?.headers).toEqual({ 'x-one': '1', 'x-two': 'a, b' })
    expect(hosts.map(({ because }) => because.replace(/.*, /, ''))).toEqual([
      'line 3',
      'line 6',
      'line 11',
    ])
    expect(server).toMatchObject({ base: new URL('https://registry-1.docker.io/v2/') })
  })

  it('leaves the server to the name where it is not given, and completes it where it is', async () => {
    expect((await parse('')).server.base).toBeUndefined()
    expect((await parse('server = "docker.io"')).server.base?.href).toBe(
      'https://registry-1.docker.io/v2/',
    )
    expect((await parse('server = "https://a.example/v2/"')).server.base?.href).toBe(
      'https://a.example/v2/',
    )
    const { server } = await parse('server = "https://a.example/x"\noverride_path = true')
    expect(server.base?.href).toBe('https://a.example/x/')
  })

  it.each([
    ['client = "both.pem"', 'both.pem', 'both.pem'],
    ['client = ["both.pem", "other.pem"]', 'both.pem', 'both.pem'],
    ['client = [["client.cert", "client.key"], ["both.pem", ""]]', 'client.cert', 'client.key'],
    ['client = [["both.pem", ""]]', 'both.pem', 'both.pem'],
  ])('reads authorities and a client certificate: %s', async (client, certFile, keyFile) => {
    await write('ca.crt', cert)
    await write('both.pem', `${cert}\n${key}`)
    await write('client.cert', cert)
    await write('client.key', key)
    const absolute = join(root, 'ca.crt')
    const { server } = await parse(`ca = ["ca.crt", "${absolute}"]\n${client}`)
    expect(server.tls).toMatchObject({ ca: [cert, cert] })
    expect(server.tls.cert).toContain('BEGIN CERTIFICATE')
    expect(server.tls.key).toContain('PRIVATE KEY')
    const expected = new Set([absolute, join(root, certFile), join(root, keyFile)])
    expect(new Set(server.tls.files)).toEqual(expected)
  })

  it.each([
    ['host = 1', 'line 1: host is not a table'],
    ['[host]\na = 1', 'line 2: host.a is not a table'],
    ['server = 1', 'line 1: server is not a string'],
    ['server = "https://u:p@a.example"', 'line 1: server is not the URL of a host'],
    ['server = "http://["', 'line 1: server is not the URL'],
    ['[host."a b"]', 'line 1: host."a b" is not the URL'],
    ['[host."a.b"]\ncapabilities = ["fly"]', 'line 2: host."a.b".capabilities holds more'],
    ['capabilities = "pull"', 'line 1: capabilities is not an array'],
    ['skip_verify = "yes"', 'line 1: skip_verify is neither true nor false'],
    ['ca = 1', 'line 1: ca is neither a string nor an array'],
    ['client = 1', 'line 1: client is neither a path nor an array'],
    ['client = [["a", "b", "c"]]', 'line 1: client holds what is neither'],
    ['[header]\n"a b" = "x"', 'line 2: header."a b" is not a header'],
    ['[header]\na = "x\\r\\ny"', 'line 2: header.a is not a header'],
  ])('names line and key of what is wrong: %j', async (text, why) => {
    expect(await parse(text).catch((error: unknown) => error)).toMatchObject({
      code: 'ERR_REGISTRY_HOSTS',
      path: join(root, 'hosts.toml'),
      message: expect.stringContaining(`hosts.toml, ${why}`),
    })
  })

  it('quotes nothing of a key that is none', async () => {
    await write('client.cert', cert)
    await write('client.key', 'c2VjcmV0')
    const failure = await parse('client = [["client.cert", "client.key"]]').catch((error) => error)
    expect(failure).toMatchObject({ code: 'ERR_REGISTRY_HOSTS', path: join(root, 'client.key') })
    expect(JSON.stringify(failure)).not.toContain('c2VjcmV0')
  })

  it('either reads a document or says what is wrong with it', async () => {
    const value = fc.constantFrom('"https://a.example"', 'true', '1', '["pull"]', '[["a"]]', '{}')
    const keys = [
      'server',
      'capabilities',
      'ca',
      'client',
      'skip_verify',
      'override_path',
      'header',
    ]
    const line = fc.oneof(
      fc.constantFrom(
        '[host."https://a.example"]',
        '[host."b.example".header]',
        '[header]',
        '[host]',
      ),
      fc.tuple(fc.constantFrom(...keys), value).map(([name, text]) => `${name} = ${text}`),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 8 }), async (lines) => {
        const outcome = await parse(lines.join('\n')).catch((error: unknown) => error)
        if (outcome instanceof RegistryError) expect(outcome.code).toBe('ERR_REGISTRY_HOSTS')
        else expect(outcome).toHaveProperty('server')
      }),
    )
  })
})

describe('readHostsDirs', () => {
  it('knows the spellings of a directory', () => {
    expect(directoryNames('a.example:5000')).toEqual([
      'a.example_5000_',
      'a.example:5000',
      '_default',
    ])
    expect(directoryNames('a.example')).toEqual(['a.example', '_default'])
    expect(directoryNames('[::1]:5000')).toEqual(['[::1]_5000_', '[::1]:5000', '_default'])
  })

  it('takes the first that exists', async () => {
    const server = (name: string) => `server = "https://${name}.example"\n`
    await write('_default/hosts.toml', server('default'))
    await write('a.example:5000/hosts.toml', server('colon'))
    const found = async (registry: string) => {
      const directory = await readHostsDirs([join(root, 'absent'), root], registry)
      return directory && 'hosts' in directory ? directory.hosts.server.base?.host : directory
    }
    expect(await found('a.example:5000')).toBe('colon.example')
    await write('a.example_5000_/hosts.toml', server('underscore'))
    expect(await found('a.example:5000')).toBe('underscore.example')
    expect(await found('a.example')).toBe('default.example')
    expect(await found('..')).toBeUndefined()
  })

  it('finds certificates where there is no hosts.toml', async () => {
    await write('a.example/ca.crt', cert)
    expect(await readHostsDirs([root], 'a.example')).toMatchObject({ tls: { ca: [cert] } })
  })
})

describe('readCertsDirs', () => {
  it('reads authorities and the first client certificate of the first directory', async () => {
    await write('one/a.example:5000/z.crt', `${cert}\n`)
    await write('one/a.example:5000/a.crt', cert)
    await write('one/a.example:5000/client.cert', cert)
    await write('one/a.example:5000/client.key', key)
    await write('one/a.example:5000/README', 'nothing')
    await write('two/a.example:5000/ca.crt', cert)
    await write('two/b.example/ca.crt', cert)
    const directories = [join(root, 'absent'), join(root, 'one'), join(root, 'two')]
    const found = await readCertsDirs(directories, 'a.example:5000')
    expect(found).toMatchObject({ ca: [cert, `${cert}\n`], cert, key })
    expect(found.files).toHaveLength(4)
    expect((await readCertsDirs(directories, 'b.example')).files).toEqual([
      join(root, 'two', 'b.example', 'ca.crt'),
    ])
    expect(await readCertsDirs(directories, 'a.example')).toEqual({})
    expect(await readCertsDirs([join(root, 'one', 'a.example:5000')], '..')).toEqual({})
  })

  it.each([
    ['client.cert', 'client.key'],
    ['client.key', 'client.cert'],
  ])('misses the other half of %s', async (name, other) => {
    await write(name, `${cert}\n${key}`)
    await expect(readCertsDir(root)).rejects.toMatchObject({
      code: 'ERR_REGISTRY_HOSTS',
      path: join(root, name),
      message: expect.stringContaining(`there is no ${other}`),
    })
  })

  it('says which file holds no certificate', async () => {
    await write('ca.crt', 'nothing')
    await expect(readCertsDir(root)).rejects.toMatchObject({
      code: 'ERR_REGISTRY_HOSTS',
      path: join(root, 'ca.crt'),
      message: expect.stringContaining('holds no certificate in PEM'),
    })
  })
})

async function write(name: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, name)), { recursive: true })
  await writeFile(join(root, name), text)
}
