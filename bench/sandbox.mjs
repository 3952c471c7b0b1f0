// A sandbox around the smallest program, from the call in Node until Node knows that it has ended, beside
// bwrap, unshare(1), crun and plain child_process.spawn; with little memory, 1 GB of heap and 1 GB of Buffers.
// Then what else is promised of @cromwell/ns-native: join, the monitor's memory, the cost of each namespace,
// nothing left after a thousand. Prints Markdown. Needs a C compiler. node bench/sandbox.mjs [ROUNDS] [--quick]
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus, release, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { contenders, TITLES } from './contenders.mjs'
import { interleaveAsync } from './interleave.mjs'
import { afterMany, joining, monitorMemory, perNamespace } from './sandbox-life.mjs'

const MEMORY = {
  '50 MB of heap': [],
  '1 GB of heap': ['--max-old-space-size=3000'],
  '1 GB of Buffers': [],
}
const MAIN = import.meta.filename
const here = import.meta.dirname

const [, , ...args] = process.argv
const [rounds = 60] = args.filter((text) => /^\d+$/.test(text)).map(Number)
const measured = args.indexOf('--measure')
await (measured < 0 ? main() : measure(args[measured + 1], args[measured + 2]))

async function main() {
  const directory = mkdtempSync(join(tmpdir(), 'cromwell-bench-'))
  try {
    build(directory)
    const quick = args.includes('--quick')
    const where = `Linux ${release()}, Node ${process.version}, ${cpus().length} CPUs`
    console.log(`${where}, uid ${process.getuid()}, ${rounds} rounds, interleaved; ms\n`)
    const kinds = quick ? Object.keys(MEMORY).slice(0, 1) : Object.keys(MEMORY)
    for (const kind of kinds) console.log(`${table(kind, samplesWith(kind, directory))}\n`)
    if (quick) return
    console.log(`${await joining(directory, rounds)}\n`)
    console.log(`${await monitorMemory(directory)}\n`)
    console.log(`${await perNamespace(directory, rounds)}\n`)
    console.log(`${await afterMany(directory, 1000)}\n`)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

// Each kind in a process of its own, so that none has the other's memory.
function samplesWith(kind, directory) {
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env
  const argv = [...MEMORY[kind], MAIN, `${rounds}`, '--measure', kind, directory]
  const options = { env, encoding: 'utf8', maxBuffer: 1 << 28 }
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, {
    ...options,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (status !== 0) throw new Error(`measuring with ${kind} failed: ${stderr}`)
  return JSON.parse(stdout)
}

async function measure(kind, directory) {
  globalThis.held = fill(kind)
  const samples = await interleaveAsync(await contenders(directory), { rounds })
  console.log(JSON.stringify(samples))
}

function fill(kind) {
  const megabytes = kind.startsWith('1 GB') ? 1024 : 50
  if (kind.endsWith('Buffers')) return Buffer.alloc(megabytes << 20, 1)
  // objects as a program has them, about 80 bytes each with their array's element
  return Array.from({ length: (megabytes << 20) / 80 }, (_, n) => ({ n, text: `${n}`, next: null }))
}

function build(directory) {
  for (const name of ['root/proc', 'root/sys', 'root/dev', 'root/tmp', 'merged'])
    mkdirSync(join(directory, name), { recursive: true })
  const fromPackage = createRequire(join(here, '../packages/ns-native/package.json'))
  const headers = join(dirname(fromPackage.resolve('node-api-headers/package.json')), 'include')
  for (const name of ['true', 'wait'])
    compile([
      ...['-Os', '-static', '-nostdlib', '-o', join(directory, 'root', name)],
      join(here, `${name}.c`),
    ])
  const addon = join(directory, 'spawn.node')
  compile(['-O2', '-shared', '-fPIC', `-I${headers}`, '-o', addon, join(here, 'spawn.c')])
  chmodSync(directory, 0o755)
}

function compile(flags) {
  const { status, stderr } = spawnSync('cc', flags, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`cc ${flags.join(' ')} failed: ${stderr}`)
}

function table(kind, samples) {
  const lines = [
    `| with ${kind} | total: median | minimum | Node blocked: median | minimum |`,
    '|---|---:|---:|---:|---:|',
  ]
  for (const [title, values] of Object.entries(samples)) {
    const columns = ['totalMs', 'blockedMs'].map((key) => {
      const sorted = sortedBy(values, key)
      return `${median(sorted).toFixed(2)} | ${sorted[0].toFixed(2)}`
    })
    lines.push(`| ${title} | ${columns.join(' | ')} |`)
  }
  if (TITLES.bwrapFive in samples) lines.push('', ratios(samples))
  return lines.join('\n')
}

// The same sandbox, ours over bwrap's.
function ratios(samples) {
  const pairs = [
    ['five namespaces', TITLES.five, TITLES.bwrapFive],
    ['all', TITLES.all, TITLES.bwrapAll],
  ]
  const texts = pairs.map(([name, ours, theirs]) => {
    const [mine, peer] = [ours, theirs].map((title) => sortedBy(samples[title], 'totalMs'))
    const floor = (mine[0] / peer[0]).toFixed(2)
    return `${name} ${(median(mine) / median(peer)).toFixed(2)} (minima ${floor})`
  })
  return `cromwell / bwrap: ${texts.join(', ')}`
}

function sortedBy(values, key) {
  return values.map((value) => value[key]).sort((a, b) => a - b)
}

function median(sorted) {
  return sorted[sorted.length >> 1]
}
