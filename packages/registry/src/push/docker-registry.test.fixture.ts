import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'

/** Debian's docker-registry, the reference implementation, as a server of one test. */
export interface DockerRegistry {
  /** `127.0.0.1:PORT` */
  host: string
  stop(): Promise<void>
}

/** What of its configuration the tests differ in. */
export interface DockerRegistryOptions {
  /** Where its data goes. */
  directory: string
  /** Whether manifests and blobs can be deleted. Default false, as Debian has it. */
  deletion?: boolean
  /** A line of a file that htpasswd makes. */
  htpasswd?: string
}

/** Start one on a port that is free; returns once it answers. */
export async function startDockerRegistry(options: DockerRegistryOptions): Promise<DockerRegistry> {
  const { directory, deletion = false, htpasswd } = options
  const port = await freePort()
  await mkdir(directory, { recursive: true })
  const passwords = join(directory, 'htpasswd')
  const auth = htpasswd ? `auth: { htpasswd: { realm: test, path: ${passwords} } }\n` : ''
  if (htpasswd) await writeFile(passwords, htpasswd)
  const config = join(directory, 'config.yml')
  await writeFile(
    config,
    `version: 0.1
log: { level: error, accesslog: { disabled: true } }
storage: { filesystem: { rootdirectory: ${directory}/data }, delete: { enabled: ${deletion} } }
http: { addr: '127.0.0.1:${port}' }
${auth}`,
  )
  const server = spawn('docker-registry', ['serve', config], { stdio: 'ignore' })
  await answering(`http://127.0.0.1:${port}/v2/`, server)
  return { host: `127.0.0.1:${port}`, stop: () => stop(server) }
}

async function stop(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  server.kill('SIGTERM')
  await once(server, 'close')
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // A server that listens on TCP has an address of this form.
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function answering(url: string, server: ChildProcess): Promise<void> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; ) {
    const answered = await fetch(url).then(
      () => true,
      () => false,
    )
    if (answered) return
    if (server.exitCode !== null) break
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error(`nothing answers at ${url}`)
}
