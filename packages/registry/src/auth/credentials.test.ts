import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runCredentialHelper } from './credential-helper.ts'
import { type CredentialHelperRunner, fileCredentials, staticCredentials } from './credentials.ts'

let directory: string
const path = process.env['PATH']

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cromwell-credentials-'))
})

afterEach(async () => {
  process.env['PATH'] = path
  await rm(directory, { recursive: true, force: true })
})

describe('fileCredentials', () => {
  it('reads base64 pairs, plain pairs and identity tokens', async () => {
    const dockerConfig = await write('config.json', {
      auths: {
        'a.example': { auth: base64('ann:se:cret') },
        'b.example': { username: 'bob', password: 'builder' },
        'c.example': { auth: base64('ignored:x'), identitytoken: 'long-lived' },
        'd.example': {},
      },
    })
    const find = fileCredentials({ dockerConfig })
    expect(await find({ registry: 'a.example' })).toEqual(password('ann', 'se:cret'))
    expect(await find({ registry: 'b.example' })).toEqual(password('bob', 'builder'))
    expect(await find({ registry: 'c.example' })).toEqual({
      type: 'identity-token',
      token: 'long-lived',
    })
    expect(await find({ registry: 'd.example' })).toBeUndefined()
    expect(await find({ registry: 'e.example' })).toBeUndefined()
  })

  it.each([
    'https://index.docker.io/v1/',
    'index.docker.io',
    'docker.io',
    'registry-1.docker.io',
    'https://index.docker.io/v2/',
  ])("finds Docker Hub's credentials under %s", async (key) => {
    const dockerConfig = await write('config.json', { auths: { [key]: { auth: base64('u:p') } } })
    const find = fileCredentials({ dockerConfig })
    expect(await find({ registry: 'docker.io', repository: 'library/alpine' })).toEqual(
      password('u', 'p'),
    )
  })

  it.each(['https://host.example', 'https://host.example/v2/', 'http://host.example/v1/'])(
    'understands %s as a host',
    async (key) => {
      const dockerConfig = await write('config.json', { auths: { [key]: { auth: base64('u:p') } } })
      expect(await fileCredentials({ dockerConfig })({ registry: 'host.example' })).toEqual(
        password('u', 'p'),
      )
    },
  )

  it("prefers podman's most specific key", async () => {
    const file = await write('auth.json', {
      auths: {
        'host.example:5000': { auth: base64('host:1') },
        'host.example:5000/team': { auth: base64('team:2') },
        'host.example:5000/team/app': { auth: base64('app:3') },
      },
    })
    const find = fileCredentials({ authFiles: [file] })
    const userOf = async (repository?: string) =>
      find({ registry: 'host.example:5000', ...(repository ? { repository } : {}) })
    expect(await userOf('team/app')).toEqual(password('app', '3'))
    expect(await userOf('team/app/part')).toEqual(password('app', '3'))
    expect(await userOf('team/application')).toEqual(password('team', '2'))
    expect(await userOf('teams')).toEqual(password('host', '1'))
    expect(await userOf()).toEqual(password('host', '1'))
    expect(await find({ registry: 'host.example' })).toBeUndefined()
  })

  it('asks the files in order, and passes over those that are not there', async () => {
    const first = await write('1.json', { auths: { 'a.example': { auth: base64('first:1') } } })
    const docker = await write('2.json', {
      auths: {
        'a.example': { auth: base64('second:2') },
        'b.example': { auth: base64('second:2') },
      },
    })
    const find = fileCredentials({
      authFiles: [join(directory, 'none'), first],
      dockerConfig: docker,
    })
    expect(await find({ registry: 'a.example' })).toEqual(password('first', '1'))
    expect(await find({ registry: 'b.example' })).toEqual(password('second', '2'))
    expect(await fileCredentials()({ registry: 'a.example' })).toBeUndefined()
  })

  it("asks a host's helper, then the store, then the file itself, each once", async () => {
    const dockerConfig = await write('config.json', {
      auths: { 'c.example': { auth: base64('file:1') } },
      credHelpers: { 'a.example': 'special' },
      credsStore: 'general',
    })
    const calls: string[] = []
    const runHelper: CredentialHelperRunner = async (helper, server) => {
      calls.push(`${helper} ${server}`)
      return server === 'c.example' ? undefined : password(helper, server)
    }
    const find = fileCredentials({ dockerConfig, runHelper })
    const answers = await Promise.all(
      ['a.example', 'a.example', 'docker.io', 'c.example'].map((registry) => find({ registry })),
    )
    expect(answers).toEqual([
      password('special', 'a.example'),
      password('special', 'a.example'),
      password('general', 'https://index.docker.io/v1/'),
      password('file', '1'),
    ])
    expect(calls.sort()).toEqual([
      'general c.example',
      'general https://index.docker.io/v1/',
      'special a.example',
    ])
  })

  it.each([
    ['no JSON', '{"auths": {"a.example": {"auth": "c2VjcmV0"', 'it is not JSON'],
    ['another JSON', '["c2VjcmV0"]', 'it is not a JSON object'],
    ['auths that are none', '{"auths": "c2VjcmV0"}', '"auths" is not an object'],
    ['a pair that is none', '{"auths": {"a.example": {"auth": "c2VjcmV0"}}}', 'a.example'],
  ])('names a file with %s without quoting it', async (_, text, why) => {
    const dockerConfig = join(directory, 'config.json')
    await writeFile(dockerConfig, text)
    const failure = await failureOf(fileCredentials({ dockerConfig })({ registry: 'a.example' }))
    expect(failure).toMatchObject({
      code: 'ERR_REGISTRY_CREDENTIALS',
      path: dockerConfig,
      message: expect.stringContaining(why),
    })
    expect(JSON.stringify(failure)).not.toContain('c2VjcmV0')
    expect(failure.cause).toBeUndefined()
  })

  it('takes an empty file for one without credentials', async () => {
    const dockerConfig = join(directory, 'config.json')
    await writeFile(dockerConfig, '')
    expect(await fileCredentials({ dockerConfig })({ registry: 'a.example' })).toBeUndefined()
  })
})

describe('runCredentialHelper', () => {
  it('gives the server on stdin and reads the answer', async () => {
    await helper('test', `cat > "${directory}/asked"; echo '{"Username":"u","Secret":"s"}'`)
    expect(await runCredentialHelper('test', 'host.example')).toEqual(password('u', 's'))
    expect(await readFile(join(directory, 'asked'), 'utf8')).toBe('host.example')
  })

  it('knows an identity token by its user', async () => {
    await helper('test', `echo '{"Username":"<token>","Secret":"s"}'`)
    expect(await runCredentialHelper('test', 'x')).toEqual({ type: 'identity-token', token: 's' })
  })

  it('finds nothing where the helper finds nothing', async () => {
    await helper('test', 'echo credentials not found in native keychain; exit 1')
    expect(await runCredentialHelper('test', 'x')).toBeUndefined()
    await helper('test', `echo '{"Username":"","Secret":""}'`)
    expect(await runCredentialHelper('test', 'x')).toBeUndefined()
  })

  it.each([
    ['a failure', 'echo secret; exit 3', 'it ended with status 3'],
    ['nonsense', 'echo secret', 'its answer is not JSON'],
    ['half an answer', `echo '{"Username":"secret"}'`, 'no user name and secret'],
  ])('reports %s without quoting it', async (_, script, why) => {
    await helper('test', script)
    const failure = await failureOf(runCredentialHelper('test', 'x'))
    expect(failure).toMatchObject({
      code: 'ERR_REGISTRY_CREDENTIALS',
      message: expect.stringContaining(why),
    })
    expect(JSON.stringify(failure)).not.toContain('"secret"')
  })

  it('reports a helper that is not installed, and one whose name is a path', async () => {
    await expect(runCredentialHelper('no-such-helper', 'x')).rejects.toThrow('it is not installed')
    await expect(runCredentialHelper('../../bin/sh', 'x')).rejects.toThrow('not a plain file name')
  })

  it('kills a helper when the signal is aborted', async () => {
    await helper('test', 'exec sleep 60')
    const controller = new AbortController()
    const answer = runCredentialHelper('test', 'x', controller.signal)
    setTimeout(() => controller.abort(), 50)
    await expect(answer).rejects.toMatchObject({ code: 'ERR_REGISTRY_ABORTED' })
  })
})

describe('staticCredentials', () => {
  it('knows one registry', async () => {
    const find = staticCredentials('host.example', 'u', 'p')
    expect(await find({ registry: 'host.example' })).toEqual(password('u', 'p'))
    expect(await find({ registry: 'other.example' })).toBeUndefined()
  })
})

function password(username: string, secret: string) {
  return { type: 'password' as const, username, password: secret }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

async function write(name: string, content: object): Promise<string> {
  await writeFile(join(directory, name), JSON.stringify(content))
  return join(directory, name)
}

async function helper(name: string, script: string): Promise<void> {
  const program = join(directory, `docker-credential-${name}`)
  await writeFile(program, `#!/bin/sh\n${script}\n`)
  await chmod(program, 0o755)
  process.env['PATH'] = `${directory}:${path}`
}

async function failureOf(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => new Error('it did not fail'),
    (error: Error) => error,
  )
}
