import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { requires, requiresProgram } from '@cromwell/test-support'
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest'
import { staticCredentials } from '../auth/credentials.ts'
import { createRegistryClient, type RegistryClientOptions } from '../client/registry-client.ts'
import { digestOf } from '../image/digest.ts'
import { parseReference } from '../image/reference.ts'
import { openImageLayout } from '../layout/image-layout.ts'
import { pull } from './pull.ts'

// The reference implementation of a registry, as Debian ships it, with genuine images in it.
const run = promisify(execFile)
const checkout = fileURLToPath(new URL('../../../../', import.meta.url))
const images = process.env['CROMWELL_TEST_IMAGES'] ?? join(checkout, '../shared/images')
const platform = { os: 'linux', architecture: 'amd64' }
/** By bcrypt, the only hash that docker-registry takes. */
const PASSWORD = 'open sesame'
const HTPASSWD = 'ann:$2y$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW\n'

const servers: ChildProcess[] = []
let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cromwell-docker-registry-'))
})

afterAll(async () => {
  for (const server of servers) {
    if (server.exitCode !== null || server.signalCode !== null) continue
    server.kill('SIGTERM')
    await once(server, 'close')
  }
  await rm(directory, { recursive: true, force: true })
})

describe('with docker-registry and skopeo', () => {
  it.for([
    ['alpine:3.20', 'library/alpine:3.20', ['--all']],
    ['alpine:3.20', 'library/docker-alpine:3.20', ['--all', '--format', 'v2s2']],
    ['busybox:musl-amd64', 'team/busybox:musl', []],
  ] as const)(
    'pulls %s, pushed as %s, so that skopeo reads it',
    async ([from, name, options], context) => {
      const skopeo = requireTools(context)
      const host = await startRegistry()
      await run(skopeo, [
        'copy',
        '-q',
        ...options,
        '--dest-tls-verify=false',
        ...between(from, host, name),
      ])
      const reference = parseReference(`${host}/${name}`)
      const layout = openImageLayout(join(directory, name.replace(/\W/g, '-')))
      await withClient({}, async (client) => {
        const { image, status } = await pull(reference, layout, { client, platform })
        expect(status).toBe('downloaded')
        expect(await pull(reference, layout, { client, platform })).toEqual({
          status: 'up-to-date',
          image,
        })
        const stored = `oci:${layout.directory}:${image.name}`
        const { stdout } = await run(skopeo, ['inspect', stored])
        expect(JSON.parse(stdout)).toMatchObject({
          Architecture: 'amd64',
          Digest: image.manifest.digest,
          Layers: image.layers.map(({ digest }) => digest),
        })
        const copy = join(directory, 'copy')
        await run(skopeo, ['copy', '-q', stored, `dir:${copy}`])
        for (const { digest, size } of image.layers) {
          const bytes = await readFile(join(copy, digest.replace('sha256:', '')))
          expect([digestOf(bytes), bytes.length]).toEqual([digest, size])
        }
      })
    },
  )

  it('falls to an older variant, and lists what there is', async (context) => {
    const skopeo = requireTools(context)
    const host = await startRegistry()
    const name = 'library/alpine:3.20'
    await run(skopeo, [
      'copy',
      '-q',
      '--all',
      '--dest-tls-verify=false',
      ...between('alpine:3.20', host, name),
    ])
    const layout = openImageLayout(join(directory, 'variants'))
    await withClient({}, async (client) => {
      const newer = { os: 'linux', architecture: 'arm64', variant: 'v9' }
      const { image } = await pull(`${host}/${name}`, layout, { client, platform: newer })
      expect(image.config.architecture).toBe('arm64')
      const none = { os: 'linux', architecture: 's390x' }
      await expect(
        pull(`${host}/${name}`, layout, { client, platform: none }),
      ).rejects.toMatchObject({
        code: 'ERR_REGISTRY_NO_PLATFORM',
        available: expect.arrayContaining(['linux/amd64']),
      })
    })
  })

  it('logs in with name and password', async (context) => {
    const skopeo = requireTools(context)
    const host = await startRegistry({ htpasswd: HTPASSWD })
    const name = 'team/busybox:musl'
    const login = ['--dest-creds', `ann:${PASSWORD}`, '--dest-tls-verify=false']
    await run(skopeo, ['copy', '-q', ...login, ...between('busybox:musl-amd64', host, name)])
    const layout = openImageLayout(join(directory, 'login'))
    const attempt = (options: RegistryClientOptions) =>
      withClient(options, (client) => pull(`${host}/${name}`, layout, { client, platform }))
    await expect(attempt({})).rejects.toMatchObject({
      code: 'ERR_REGISTRY_UNAUTHORIZED',
      hint: expect.stringContaining('docker login 127.0.0.1'),
    })
    await expect(
      attempt({ credentials: staticCredentials(host, 'ann', 'wrong') }),
    ).rejects.toMatchObject({
      code: 'ERR_REGISTRY_UNAUTHORIZED',
      message: expect.stringContaining('refuses the stored credentials'),
    })
    const { status } = await attempt({ credentials: staticCredentials(host, 'ann', PASSWORD) })
    expect(status).toBe('downloaded')
  })

  it("reports a tag that does not exist in the registry's words", async (context) => {
    requireTools(context)
    const host = await startRegistry()
    const layout = openImageLayout(join(directory, 'none'))
    await withClient({}, async (client) => {
      await expect(pull(`${host}/team/none:1`, layout, { client })).rejects.toMatchObject({
        code: 'ERR_REGISTRY_NOT_FOUND',
        errors: [{ code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' }],
      })
    })
  })
})

function requireTools(context: TestContext): string {
  requiresProgram(context, 'docker-registry')
  requires(context, 'images', existsSync(images), `there are no genuine images in ${images}`)
  return requiresProgram(context, 'skopeo')
}

function between(from: string, host: string, name: string): [string, string] {
  return [`oci:${images}/${from}`, `docker://${host}/${name}`]
}

async function withClient<T>(
  options: RegistryClientOptions,
  action: (client: ReturnType<typeof createRegistryClient>) => Promise<T>,
): Promise<T> {
  const client = createRegistryClient(options)
  try {
    return await action(client)
  } finally {
    await client.close()
  }
}

/** Start a registry of its own for a test, on a free port; it is stopped when all tests are done. */
async function startRegistry({ htpasswd }: { htpasswd?: string } = {}): Promise<string> {
  const port = await freePort()
  const home = await mkdtemp(join(directory, 'registry-'))
  const passwords = join(home, 'htpasswd')
  const auth = htpasswd ? `auth: { htpasswd: { realm: test, path: ${passwords} } }\n` : ''
  if (htpasswd) await writeFile(passwords, htpasswd)
  const config = `version: 0.1
log: { level: error, accesslog: { disabled: true } }
storage: { filesystem: { rootdirectory: ${home}/data } }
http: { addr: '127.0.0.1:${port}' }
${auth}`
  await writeFile(join(home, 'config.yml'), config)
  const server = spawn('docker-registry', ['serve', join(home, 'config.yml')], { stdio: 'ignore' })
  servers.push(server)
  await answering(`http://127.0.0.1:${port}/v2/`)
  return `127.0.0.1:${port}`
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // A server that listens on TCP has an address of this form.
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function answering(url: string): Promise<void> {
  for (const deadline = Date.now() + 10_000; Date.now() < deadline; ) {
    const answered = await fetch(url).then(
      () => true,
      () => false,
    )
    if (answered) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error(`nothing answers at ${url}`)
}
