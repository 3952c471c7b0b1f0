import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { staticCredentials } from '../auth/credentials.ts'
import { fileCredentials } from '../auth/file-credentials.ts'
import { parseReference } from '../image/reference.ts'
import { makeCertificate } from '../testing/index.ts'
import { formatExplanation } from './explain.ts'
import { createRegistryClient, type RegistryClientOptions } from './registry-client.ts'

const SECRET = 'hunter2-hunter2'
const DIGEST = `sha256:${'a'.repeat(64)}`
const CONF = `
[[registry]]
prefix = "docker.io/library"
location = "docker.io/library"

[[registry.mirror]]
location = "mirror.example:5000/hub"
pull-from-mirror = "tag-only"

[[registry]]
location = "bad.example"
blocked = true
`

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cromwell-explain-'))
  await writeFile(join(directory, 'registries.conf'), CONF)
  const certificates = join(directory, 'certs.d', 'mirror.example:5000')
  await mkdir(certificates, { recursive: true })
  await writeFile(join(certificates, 'ca.crt'), makeCertificate().cert)
  const auth = Buffer.from(`ann:${SECRET}`).toString('base64')
  const auths = { 'mirror.example:5000/hub': { auth } }
  await writeFile(join(directory, 'auth.json'), JSON.stringify({ auths }))
})

afterEach(() => rm(directory, { recursive: true }))

async function explain(name: string, options: RegistryClientOptions = {}) {
  const client = createRegistryClient({
    registriesConf: { files: [join(directory, 'registries.conf')] },
    certsDirs: [join(directory, 'certs.d')],
    credentials: fileCredentials({ authFiles: [join(directory, 'auth.json')] }),
    proxy: { https: `http://ann:${SECRET}@proxy.example:3128`, no: '.example' },
    ...options,
  })
  const explanation = await client.explain(parseReference(name))
  await client.close()
  expect(`${inspect(explanation, { depth: 9 })} ${formatExplanation(explanation)}`).not.toContain(
    SECRET,
  )
  return explanation
}

it('names file, line, key, certificate and proxy of each place in turn, and no secret', async () => {
  const { reference, endpoints, failure } = await explain('alpine:3.20')
  expect(reference).toBe('docker.io/library/alpine:3.20')
  expect(failure).toBeUndefined()
  expect(endpoints).toMatchObject([
    {
      url: 'https://mirror.example:5000/v2/',
      kind: 'mirror',
      repository: 'hub/alpine',
      asked: true,
      because: expect.stringMatching(/registries\.conf.*\b6\b/),
      tls: { verified: true, files: [join(directory, 'certs.d/mirror.example:5000/ca.crt')] },
      proxyBecause: 'NO_PROXY has ".example"',
      credentials: {
        chosen: {
          file: join(directory, 'auth.json'),
          key: 'mirror.example:5000/hub',
          type: 'password',
          username: 'ann',
        },
      },
    },
    {
      url: 'https://registry-1.docker.io/v2/',
      kind: 'origin',
      repository: 'library/alpine',
      asked: true,
      tls: { verified: true, files: [] },
      proxy: 'http://proxy.example:3128/',
      proxyBecause: 'HTTPS_PROXY',
    },
  ])
  expect(endpoints[1]?.credentials.chosen).toBeUndefined()
})

it('says which places are passed over', async () => {
  const { endpoints } = await explain(`alpine@${DIGEST}`)
  expect(endpoints.map(({ kind, asked }) => [kind, asked])).toEqual([
    ['mirror', false],
    ['origin', true],
  ])
})

it('says why nothing can be asked', async () => {
  const blocked = await explain('bad.example/app')
  expect(blocked).toMatchObject({
    endpoints: [],
    failure: expect.stringMatching(/^bad\.example\/app is blocked: .*registries\.conf/),
  })
  expect(formatExplanation(blocked)).toBe(`bad.example/app:latest\n  ${blocked.failure}`)
  const proxy = { https: 'socks5://proxy.example' }
  expect((await explain('alpine', { proxy })).failure).toContain('HTTPS_PROXY')
})

it('tells of credentials that the caller gave, and of hosts whose certificates are not checked', async () => {
  const { endpoints } = await explain('team.example/app', {
    credentials: staticCredentials('team.example', 'ann', SECRET),
    hosts: [{ prefix: 'team.example', insecure: true }],
  })
  expect(endpoints).toMatchObject([
    {
      tls: { verified: false },
      credentials: { chosen: { type: 'password', because: 'the caller gave them' } },
    },
  ])
})

it('is printed as a fact on a line', async () => {
  const text = formatExplanation(await explain('alpine:3.20'))
  expect(text.split('\n').slice(0, 6)).toEqual([
    'docker.io/library/alpine:3.20',
    expect.stringMatching(
      /^ {2}https:\/\/mirror\.example:5000\/v2\/ \(mirror\), because of .*registries\.conf/,
    ),
    '    repository: hub/alpine',
    `    TLS: ${directory}/certs.d/mirror.example:5000/ca.crt`,
    '    proxy: none (NO_PROXY has ".example")',
    `    credentials: password of ann, from ${directory}/auth.json mirror.example:5000/hub`,
  ])
})
