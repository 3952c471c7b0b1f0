// Pull images from a registry on this machine into an OCI image layout: @cromwell/registry, and `cromwell pull`,
// beside `skopeo copy … oci:` and, as the floor, curl fetching the same blobs into files.
// usage: node bench/pull.mjs [ROUNDS] [DIRECTORY]
// One layer of 1 GB, 20 of 16 MB, 200 of 64 KB, all incompressible. The registry is Debian's docker-registry. The
// programs take turns in random order, each as a process of its own, start-up included; where it is allowed, all of
// them and the registry are served before others, so that a busy machine is busy for none. (No real-time priority:
// V8 waits for its own threads by yielding to them, which starves them there.)
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { interleaveAsync } from './interleave.mjs'

const MB = 1_000_000
const IMAGES = {
  'one layer of 1 GB': { layers: 1, bytes: 1000 * MB },
  '20 layers of 16 MB': { layers: 20, bytes: 16 * MB },
  '200 layers of 64 kB': { layers: 200, bytes: 64_000 },
}
const rounds = Number(process.argv[2] ?? 5)
// In memory where that is possible: a disk that is being written back measures itself.
const memory = '/dev/shm'
const place = process.argv[3] ?? (free(memory) > 6 * 2 ** 30 ? memory : tmpdir())
const base = mkdtempSync(join(place, 'cromwell-bench-pull-'))
const target = join(base, 'target')
// A session of its own, since the scheduler shares the processor among sessions before it looks at `nice`.
const FIRST = 'echo -20 >/proc/self/autogroup 2>/dev/null; exec nice -n -20 "$@"'
const urgent =
  spawnSync('nice', ['-n', '-20', 'true']).status === 0
    ? ['setsid', '-w', 'sh', '-c', FIRST, 'sh']
    : []
const file = (path) => fileURLToPath(new URL(path, import.meta.url))

const library = (name) => `
  import { createRegistryClient, openImageLayout, pull } from ${JSON.stringify(file('../packages/registry/dist/index.js'))}
  const client = createRegistryClient()
  const platform = { os: 'linux', architecture: 'amd64' }
  await pull(${JSON.stringify(name)}, openImageLayout(${JSON.stringify(target)}), { client, platform })
  await client.close()
`

// rusage of exactly one child: what Node tells of children is the sum of all.
const WATCH = `
import os, sys, time
start = time.monotonic()
pid = os.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(pid, 0)
print(time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
`

function contestants(host, name, blobs) {
  const image = `${host}/${name}`
  const urls = blobs.flatMap((digest) => [
    `url = http://${host}/v2/${name}/blobs/${digest}`,
    `output = ${join(target, digest)}`,
  ])
  const list = join(base, `${name}.curl`)
  writeFileSync(list, urls.join('\n'))
  return {
    '**@cromwell/registry**, a fresh Node': [
      process.execPath,
      ...['--input-type=module', '-e', library(`${image}:1`)],
    ],
    '`cromwell pull`': [
      process.execPath,
      ...[file('../packages/cli/bin/cromwell.cjs'), 'pull', '-q', `${image}:1`],
    ],
    '`skopeo copy … oci:`': [
      'skopeo',
      ...['copy', '-q', '--src-tls-verify=false', `docker://${image}:1`, `oci:${target}:1`],
    ],
    'curl, no checks': ['curl', '-sSfZ', '--parallel-max', '6', '-K', list],
  }
}

/** Seconds of wall clock and of CPU, and the most memory that was resident, in MB. */
async function measure([program, ...args]) {
  rmSync(target, { recursive: true, force: true })
  mkdirSync(target)
  const { NODE_EXTRA_CA_CERTS: _, ...inherited } = process.env
  const env = { ...inherited, CROMWELL_HOME: target }
  const command = [...urgent, 'python3', '-c', WATCH, program, ...args]
  const { status, stderr } = spawnSync(command[0], command.slice(1), { encoding: 'utf8', env })
  if (status !== 0) throw new Error(`${program} failed: ${stderr}`)
  const [wall, cpu, kilobytes] = stderr.trim().split('\n').at(-1).split(' ').map(Number)
  return { wall, cpu, rss: (kilobytes * 1024) / MB }
}

/** An OCI image layout of one image whose layers are noise, made and pushed; returns the layers' digests. */
async function pushImage(host, name, { layers, bytes }) {
  const layout = join(base, 'source')
  mkdirSync(join(layout, 'blobs', 'sha256'), { recursive: true })
  const descriptors = Array.from({ length: layers }, () => writeNoise(layout, bytes))
  const config = writeDocument(layout, 'application/vnd.oci.image.config.v1+json', {
    architecture: 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: descriptors.map(({ digest }) => digest) },
  })
  const type = 'application/vnd.oci.image.manifest.v1+json'
  const document = { schemaVersion: 2, mediaType: type, config, layers: descriptors }
  const manifest = writeDocument(layout, type, document)
  const annotations = { 'org.opencontainers.image.ref.name': '1' }
  const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] }
  writeFileSync(join(layout, 'index.json'), JSON.stringify(index))
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  const to = ['--dest-tls-verify=false', `docker://${host}/${name}:1`]
  execFileSync('skopeo', ['copy', '-q', `oci:${layout}:1`, ...to])
  rmSync(layout, { recursive: true })
  // skopeo compresses on the way what is not compressed, so the registry has other layers than were made.
  const answer = await fetch(`http://${host}/v2/${name}/manifests/1`, { headers: { accept: type } })
  const pushed = await answer.json()
  return [pushed.config, ...pushed.layers].map(({ digest }) => digest)
}

function writeNoise(layout, size) {
  const temporary = join(layout, 'noise')
  const out = openSync(temporary, 'w')
  const hash = createHash('sha256')
  for (let left = size; left > 0; ) {
    const chunk = randomBytes(Math.min(left, MB))
    hash.update(chunk)
    writeSync(out, chunk)
    left -= chunk.length
  }
  closeSync(out)
  const hex = hash.digest('hex')
  execFileSync('mv', [temporary, join(layout, 'blobs', 'sha256', hex)])
  const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip'
  return { mediaType, digest: `sha256:${hex}`, size }
}

function writeDocument(layout, mediaType, document) {
  const bytes = Buffer.from(JSON.stringify(document))
  const hex = createHash('sha256').update(bytes).digest('hex')
  writeFileSync(join(layout, 'blobs', 'sha256', hex), bytes)
  return { mediaType, digest: `sha256:${hex}`, size: bytes.length }
}

async function startRegistry() {
  const port = await freePort()
  const config = `version: 0.1
log: { level: error, accesslog: { disabled: true } }
storage: { filesystem: { rootdirectory: ${base}/registry } }
http: { addr: '127.0.0.1:${port}' }
`
  writeFileSync(join(base, 'registry.yml'), config)
  const [program, ...args] = [...urgent, 'docker-registry', 'serve', join(base, 'registry.yml')]
  const server = spawn(program, args, { stdio: 'ignore' })
  const host = `127.0.0.1:${port}`
  for (;;) {
    const answers = await fetch(`http://${host}/v2/`).then(
      () => true,
      () => false,
    )
    if (answers) return { host, server }
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}

async function freePort() {
  const probe = createServer()
  await new Promise((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return port
}

function free(directory) {
  if (!existsSync(directory)) return 0
  const { bavail, bsize } = statfsSync(directory)
  return bavail * bsize
}

const sorted = (values) => values.toSorted((a, b) => a - b)
const median = (values) => sorted(values)[Math.floor(values.length / 2)]

function table(results) {
  const lines = [
    '| | time s: median | minimum | CPU s: median | minimum | memory MB: most |',
    '|---|---:|---:|---:|---:|---:|',
  ]
  for (const [title, samples] of Object.entries(results)) {
    const [wall, cpu, rss] = ['wall', 'cpu', 'rss'].map((key) => samples.map((s) => s[key]))
    const figures = [median(wall), Math.min(...wall), median(cpu), Math.min(...cpu)]
    const cells = [...figures.map((value) => value.toFixed(2)), Math.max(...rss).toFixed(0)]
    lines.push(`| ${title} | ${cells.join(' | ')} |`)
  }
  return lines.join('\n')
}

let server
try {
  const started = await startRegistry()
  server = started.server
  console.log(
    `${rounds} rounds in ${place}; Node ${process.version}${urgent.length > 0 ? ', served first' : ''}`,
  )
  for (const [title, image] of Object.entries(IMAGES)) {
    const name = `bench${image.layers}`
    const blobs = await pushImage(started.host, name, image)
    const sides = Object.entries(contestants(started.host, name, blobs))
    const functions = Object.fromEntries(sides.map(([side, argv]) => [side, () => measure(argv)]))
    const results = await interleaveAsync(functions, { rounds })
    const skopeo = results['`skopeo copy … oci:`'].map(({ wall }) => wall)
    const ours = results['**@cromwell/registry**, a fresh Node'].map(({ wall }) => wall)
    const ratio = (of) => (of(ours) / of(skopeo)).toFixed(2)
    const minimum = (values) => Math.min(...values)
    console.log(`\n**${title}**: ${ratio(median)} of skopeo's time (minima ${ratio(minimum)})\n`)
    console.log(table(results))
  }
} finally {
  server?.kill()
  rmSync(base, { recursive: true, force: true })
}
