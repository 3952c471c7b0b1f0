import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { requires, requiresProgram } from '@cromwell/test-support'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { makeCertificate } from './certificate.ts'
import { parseCommandLine, UsageError } from './command-line.ts'
import { createTestRegistry, makeImage, makeIndex, makeLayer } from './index.ts'

// The program that the package installs, and clients that are not ours.
const run = promisify(execFile)
const program = fileURLToPath(new URL('../../bin/cromwell-test-registry.mjs', import.meta.url))
const image = makeImage({ layers: [makeLayer({ a: 'a' }), makeLayer({ b: 'b' })] })
const started: ChildProcess[] = []
/** Far more than a process of Node without it has. */
const LARGE_MIB = 384
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cromwell-test-registry-'))
})

afterEach(async () => {
  for (const child of started.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  await rm(directory, { recursive: true, force: true })
})

describe('cromwell-test-registry', () => {
  it('takes images from skopeo and gives them back, also after it was killed and started again', async (context) => {
    const skopeo = requiresProgram(context, 'skopeo')
    await using source = await createTestRegistry()
    source.addImage('team/app:1', makeIndex([image]))
    const data = join(directory, 'data')
    const first = await start(['--data', data])
    const insecure = ['copy', '-q', '--all', '--src-tls-verify=false', '--dest-tls-verify=false']
    const from = `docker://${source.host}/team/app:1`
    await run(skopeo, [...insecure, from, `docker://${first.host}/a/b:2`])
    first.child.kill('SIGKILL')
    await once(first.child, 'exit')
    const second = await start(['--data', data, '--read-only'])
    await run(skopeo, [...insecure, `docker://${second.host}/a/b:2`, `dir:${directory}/copy`])
    const files = await readdir(join(directory, 'copy'))
    for (const { digest } of image.layers) expect(files).toContain(digest.replace('sha256:', ''))
    const refused = run(skopeo, [...insecure, from, `docker://${second.host}/a/b:3`])
    await expect(refused).rejects.toThrow('read-only')
  })

  it('serves podman over TLS, and lets it in by name and password', async (context) => {
    const podman = requiresProgram(context, 'podman')
    const { cert, key } = makeCertificate()
    const certificates = join(directory, 'certificates')
    await run('mkdir', [certificates])
    await writeFile(join(certificates, 'ca.crt'), cert)
    await writeFile(join(directory, 'key'), key)
    const tls = ['--tls-cert', join(certificates, 'ca.crt'), '--tls-key', join(directory, 'key')]
    const { host } = await start([...tls, '--user', 'ann:a secret', '--private'])
    const inPodman = podmanIn(podman, directory)
    const why = 'podman keeps its images in a directory of its own'
    requires(context, 'root', process.getuid?.() === 0, why)
    requires(context, 'podman', await inPodman('info').then(...yesOrNo), 'podman does not run here')
    await using source = await createTestRegistry()
    const [origin, name] = [`${source.host}/app:1`, `${host}/team/app:1`]
    source.addImage('app:1', makeImage({ layers: image.layers, config: { Cmd: ['/a'] } }))
    const login = ['-q', '--cert-dir', certificates, '--creds', 'ann:a secret']
    await inPodman('pull', '-q', '--tls-verify=false', origin)
    await inPodman('tag', origin, name)
    await inPodman('push', ...login, name)
    await inPodman('rmi', name, origin)
    await expect(inPodman('pull', '-q', '--cert-dir', certificates, name)).rejects.toThrow(
      'unauthorized',
    )
    const { stdout } = await inPodman('pull', ...login, name)
    expect(stdout).toMatch(/^[0-9a-f]{64}\n$/)
  })

  it('holds no blob in memory that it keeps on disk, coming or going', async (context) => {
    requires(context, 'linux', process.platform === 'linux', 'there is no /proc')
    const { child, origin } = await start(['--data', join(directory, 'data')])
    const chunk = randomBytes(1024 * 1024)
    const hash = createHash('sha256')
    const uploads = `${origin}/v2/app/blobs/uploads/`
    const location = (await fetch(uploads, { method: 'POST' })).headers.get('location')
    const body = ReadableStream.from(repeated(chunk, LARGE_MIB, (each) => hash.update(each)))
    const upload = { method: 'PATCH', body, duplex: 'half' } as RequestInit // duplex is missing in the types
    expect((await fetch(new URL(location ?? '', origin), upload)).status).toBe(202)
    const digest = `sha256:${hash.digest('hex')}`
    const closing = new URL(location ?? '', origin)
    closing.searchParams.set('digest', digest)
    expect((await fetch(closing, { method: 'PUT' })).status).toBe(201)
    let size = 0
    const { body: content } = await fetch(`${origin}/v2/app/blobs/${digest}`)
    for await (const each of content ?? []) size += each.byteLength
    expect(size).toBe(LARGE_MIB * chunk.length)
    const status = await readFile(`/proc/${child.pid}/status`, 'utf8')
    const peakKib = Number(/VmHWM:\s*(\d+) kB/.exec(status)?.[1])
    expect(peakKib / 1024).toBeLessThan(LARGE_MIB / 2)
  })

  it.for(['SIGTERM', 'SIGINT'] as const)('ends on %s, whatever is under way', async (signal) => {
    const fault = { on: 'blob', type: 'stall', afterBytes: 0 }
    const { child, host } = await start(['--fault', JSON.stringify({ ...fault, times: 9 })])
    const response = await fetch(`http://${host}/v2/a/blobs/none`)
    child.kill(signal)
    await expect(response.text()).rejects.toThrow()
    expect(await once(child, 'exit')).toEqual([0, null])
  })

  it('says how it is to be called, and why it cannot go on', async () => {
    const { stdout } = await run(process.execPath, [program, '--help'])
    expect(stdout).toMatch(/^Usage: cromwell-test-registry/)
    await expect(run(process.execPath, [program, '--prot', '1'])).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^cromwell-test-registry: .*--prot/),
    })
    await using other = await createTestRegistry()
    const port = other.host.split(':')[1] ?? ''
    await expect(run(process.execPath, [program, '--port', port])).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('EADDRINUSE'),
    })
  })
})

describe('the command line', () => {
  it.each([
    [['--auth', 'magic'], '--auth takes none, basic or token, not magic'],
    [['--user', 'ann'], '--user takes NAME:PASSWORD'],
    [['--port', 'http'], '--port takes a whole number, not http'],
    [['--tls-cert', 'a'], '--tls-cert and --tls-key go together'],
    [['--fault', '{}'], '--fault takes a JSON object with "on" and "type", not {}'],
    [['--fault', '{'], '--fault takes a JSON object with "on" and "type", not {'],
  ])('%j is refused', (args, message) => {
    expect(() => parseCommandLine(args)).toThrow(new UsageError(message))
  })

  it('becomes options', () => {
    const args =
      '--port 5000 --host ::1 --data d --user ann:a:b --page-size 2 --no-delete --no-referrers'
    expect(parseCommandLine(args.split(' '))).toMatchObject({
      port: 5000,
      address: '::1',
      data: 'd',
      auth: 'token',
      users: { ann: 'a:b' },
      pageSize: 2,
      deletion: { tags: false, manifests: false, blobs: false },
      referrers: false,
    })
    expect(parseCommandLine(['-h'])).toBe('help')
    expect(parseCommandLine(['--tls'])).toMatchObject({
      tls: { key: expect.stringContaining('PRIVATE') },
    })
  })
})

function* repeated(chunk: Buffer, times: number, seen: (chunk: Buffer) => void): Generator<Buffer> {
  for (let i = 0; i < times; i++) {
    seen(chunk)
    yield chunk
  }
}

/** What turns a promise into whether it was kept. */
const yesOrNo = [() => true, () => false] as const

function podmanIn(podman: string, directory: string) {
  const storage = ['--root', `${directory}/root`, '--runroot', `${directory}/run`]
  return (...args: string[]) => run(podman, [...storage, '--storage-driver', 'vfs', ...args])
}

interface Started {
  child: ChildProcess
  host: string
  origin: string
}

async function start(args: string[]): Promise<Started> {
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  started.push(child)
  const [line] = await once(createInterface(child.stdout), 'line')
  const [, origin = '', host = ''] =
    /^listening on (https?:\/\/(127\.0\.0\.1:\d+))$/.exec(line) ?? []
  expect(host, line).not.toBe('')
  return { child, host, origin }
}
