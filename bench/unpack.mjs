// Unpack one layer of about 40,000 entries: @cromwell/rootfs beside GNU tar and, where installed, bsdtar and umoci.
// usage: node bench/unpack.mjs [ROUNDS] [DIRECTORY...]
// The programs take turns, so that a busy machine is busy for all; each runs as a process of its own, start-up included.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const DEFAULT_TREES = ['man', 'doc', 'perl', 'python3'].flatMap((name) => [
  `/usr/share/${name}`,
  `/usr/lib/${name}`,
])
const rounds = Number(process.argv[2] ?? 5)
const given = process.argv.slice(3)
const trees = (given.length > 0 ? given : DEFAULT_TREES).filter((tree) => existsSync(tree))
// In memory where that is possible: a disk that is being written back measures itself.
const memory = '/dev/shm'
const place = existsSync(memory) && free(memory) > 4 * 2 ** 30 ? memory : tmpdir()
const base = mkdtempSync(join(place, 'cromwell-bench-'))
const archive = join(base, 'layer.tar.gz')
const target = join(base, 'target')

const unpack = `
  import { createReadStream } from 'node:fs'
  import { applyLayer } from ${JSON.stringify(new URL('../packages/rootfs/dist/index.js', import.meta.url).href)}
  const ownership = process.getuid() === 0 ? 'preserve' : 'squash'
  const source = createReadStream(${JSON.stringify(archive)}, { highWaterMark: 512 * 1024 })
  await applyLayer(source, ${JSON.stringify(target)}, { ownership, whiteouts: 'overlay' })
`
const contestants = {
  'GNU tar': ['tar', ['-xzpf', archive, '-C', target]],
  '@cromwell/rootfs': [process.execPath, ['--input-type=module', '-e', unpack]],
  bsdtar: ['bsdtar', ['-xzpf', archive, '-C', target]],
  'node -e 0 (start-up)': [process.execPath, ['-e', '0']],
}

function free(directory) {
  const { bavail, bsize } = statfsSync(directory)
  return bavail * bsize
}

/** Seconds of wall clock and of CPU, by bash's `time`. */
function measure([program, args]) {
  rmSync(target, { recursive: true, force: true })
  mkdirSync(target)
  const script = 'TIMEFORMAT="%R %U %S"; time "$@"'
  const { status, stderr } = spawnSync('bash', ['-c', script, 'bash', program, ...args], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`${program} failed: ${stderr}`)
  const [wall, user, system] = stderr.trim().split('\n').at(-1).split(' ').map(Number)
  return { wall, cpu: user + system }
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

try {
  execFileSync('tar', ['-C', '/', '-czf', archive, ...trees.map((tree) => tree.slice(1))], {
    stdio: 'ignore',
  })
  const entries = Number(
    execFileSync('sh', ['-c', 'tar -tzf "$1" | wc -l', 'sh', archive], { encoding: 'utf8' }),
  )
  console.log(
    `${trees.join(' ')}: ${entries} entries, ${(statSync(archive).size / 2 ** 20).toFixed(0)} MiB compressed; Node ${process.version}, ${rounds} rounds`,
  )
  const names = Object.keys(contestants).filter(
    (name) => name !== 'bsdtar' || spawnSync('bsdtar', ['--version']).status === 0,
  )
  const results = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const name of names) results[name].push(measure(contestants[name]))
  }
  const reference = results['GNU tar'].map(({ cpu }) => cpu)
  console.table(
    Object.fromEntries(
      names.map((name) => {
        const cpu = results[name].map((result) => result.cpu)
        const wall = results[name].map((result) => result.wall)
        return [
          name,
          {
            'CPU s, median': Number(median(cpu).toFixed(2)),
            'CPU s, minimum': Number(Math.min(...cpu).toFixed(2)),
            'wall s, median': Number(median(wall).toFixed(2)),
            'wall s, minimum': Number(Math.min(...wall).toFixed(2)),
            'CPU, of GNU tar': `${(median(cpu) / median(reference)).toFixed(2)} (${(Math.min(...cpu) / Math.min(...reference)).toFixed(2)})`,
          },
        ]
      }),
    ),
  )
} finally {
  rmSync(base, { recursive: true, force: true })
}
