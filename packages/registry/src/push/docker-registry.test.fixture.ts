import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
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
  /** The token service that it sends to, and whose certificate it believes. */
  token?: { realm: string; cert: string }
  tls?: { cert: string; key: string }
}

/** Start one on a port that is free; returns once it answers. */
export async function startDockerRegistry(options: DockerRegistryOptions): Promise<DockerRegistry> {
  const { directory, deletion = false, tls } = options
  const port = await freePort()
  await mkdir(directory, { recursive: true })
  const http =
    tls === undefined ? '' : `, tls: { certificate: ${directory}/cert, key: ${directory}/key }`
  if (tls) await writeFile(join(directory, 'cert'), tls.cert)
  if (tls) await writeFile(join(directory, 'key'), tls.key)
  const config = join(directory, 'config.yml')
  await writeFile(
    config,
    `version: 0.1
log: { level: error, accesslog: { disabled: true } }
storage: { filesystem: { rootdirectory: ${directory}/data }, delete: { enabled: ${deletion} } }
http: { addr: '127.0.0.1:${port}'${http} }
${await authentication(options)}`,
  )
  const server = spawn('docker-registry', ['serve', config], { stdio: 'ignore' })
  await listening(port, server)
  return { host: `127.0.0.1:${port}`, stop: () => stop(server) }
}

async function authentication(options: DockerRegistryOptions): Promise<string> {
  const { directory, htpasswd, token } = options
  const file = join(directory, 'auth')
  if (htpasswd !== undefined) {
    await writeFile(file, htpasswd)
    return `auth: { htpasswd: { realm: test, path: ${file} } }\n`
  }
  if (token === undefined) return ''
  await writeFile(file, token.cert)
  const who = `realm: '${token.realm}', service: test, issuer: test, rootcertbundle: ${file}`
  return `auth: { token: { ${who} } }\n`
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

async function listening(port: number, server: ChildProcess): Promise<void> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; ) {
    const socket = connect(port, '127.0.0.1')
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false, // `once` rejects on error
    )
    socket.destroy()
    if (connected) return
    if (server.exitCode !== null) break
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error(`docker-registry does not listen on port ${port}`)
}
