import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '@cromwell/test-support'

/** Debian's docker-registry, running on loopback with an empty store. */
export interface DockerRegistry {
  /** `127.0.0.1:PORT` */
  host: string
  /** Push a tag of an OCI layout with skopeo, all its platforms. */
  push(layout: string, tag: string, repository: string): Promise<void>
  close(): Promise<void>
}

/** Start it; needs the programs docker-registry and skopeo. */
export async function startDockerRegistry(): Promise<DockerRegistry> {
  const scratch = mkdtempSync(join(tmpdir(), 'cromwell-docker-registry-'))
  const host = `127.0.0.1:${await freePort()}`
  const config = join(scratch, 'config.yml')
  writeFileSync(
    config,
    `version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: ${scratch}/store } }
http: { addr: ${host} }
`,
  )
  const server = spawn('docker-registry', ['serve', config], { stdio: 'ignore' })
  await answering(`http://${host}/v2/`, server)

  return {
    host,
    push: async (layout, tag, repository) => {
      const target = `docker://${host}/${repository}:${tag}`
      const policy = join(scratch, 'policy.json')
      writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}')
      const { status, stderr } = await run('skopeo', [
        ...['--policy', policy, 'copy', '--all', '--dest-tls-verify=false'],
        ...[`oci:${layout}:${tag}`, target],
      ])
      if (status !== 0) throw new Error(`skopeo cannot push ${layout}:${tag}: ${stderr}`)
    },
    close: async () => {
      const exit = once(server, 'exit')
      server.kill()
      await exit
      rmSync(scratch, { recursive: true, force: true })
    },
  }
}

async function answering(url: string, server: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    if (server.exitCode !== null) break
    try {
      if ((await fetch(url)).ok) return
    } catch {
      // not listening yet
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  server.kill()
  throw new Error(`docker-registry does not answer at ${url}`)
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
