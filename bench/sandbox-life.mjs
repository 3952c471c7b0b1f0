// The parts of bench/sandbox.mjs that are about more than one launch.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import * as native from '@cromwell/ns-native'
import { spec } from './contenders.mjs'

const { launch } = native
const NONE = { stdio: ['ignore', 'ignore', 'ignore'] }
const now = () => Number(process.hrtime.bigint()) / 1e6
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1]
const figures = (values) => `${median(values).toFixed(2)} | ${Math.min(...values).toFixed(2)}`

/**
 * A second program in a running container: how long the call holds the event loop, from there to the
 * program's start (the helper's part, and one turn of the event loop), and all of it with the exit.
 */
export async function joining(directory, rounds) {
  const target = await launch(waiting(directory), { ...NONE, stdio: ['pipe', 'ignore', 'ignore'] })
  const [blocked, starts, totals] = [[], [], []]
  for (let round = -5; round < rounds; round++) {
    const called = now()
    const joining = native.join(target, { process: spec(join(directory, 'root')).process }, NONE)
    const returned = now()
    const joined = await joining
    const started = now()
    await joined.wait()
    if (round < 0) continue
    blocked.push(returned - called)
    starts.push(started - returned)
    totals.push(now() - called)
  }
  target.kill('SIGKILL')
  await target.wait()
  return [
    '| join | median ms | minimum ms |',
    '|---|---:|---:|',
    `| event loop held | ${figures(blocked)} |`,
    `| from there to the program | ${figures(starts)} |`,
    `| call to exit | ${figures(totals)} |`,
  ].join('\n')
}

/** What stays in memory beside a container that runs. */
export async function monitorMemory(directory) {
  const contained = await launch(waiting(directory), { stdio: ['pipe', 'ignore', 'ignore'] })
  const lines = ['| stays in memory, kB | proportional (PSS) | resident |', '|---|---:|---:|']
  for (const [title, pid] of [
    ['monitor', contained.monitorPid],
    ['PID 1', contained.pid],
  ]) {
    const pss = title === 'monitor' ? kilobytes(`/proc/${pid}/smaps_rollup`, 'Pss') : '–'
    lines.push(`| ${title} | ${pss} | ${kilobytes(`/proc/${pid}/status`, 'VmRSS')} |`)
  }
  contained.kill('SIGKILL')
  await contained.wait()
  return lines.join('\n')
}

/** The same launch with one namespace more than the user's. */
export async function perNamespace(directory, rounds) {
  const bare = { root: undefined, mounts: [] }
  const program = join(directory, 'root/true')
  const none = { ...spec('/').process, args: [program] }
  const sets = {
    'none (the helper alone)': [],
    user: ['user'],
    ...Object.fromEntries(
      ['mount', 'pid', 'uts', 'ipc', 'cgroup', 'network', 'time'].map((type) => [
        `user, ${type}`,
        ['user', type],
      ]),
    ),
  }
  const totals = Object.fromEntries(Object.keys(sets).map((title) => [title, []]))
  for (let round = -1; round < rounds; round++) {
    for (const [title, namespaces] of Object.entries(sets)) {
      const { idMapping, root: _, ...others } = spec('/')
      const mapped = namespaces.length > 0 ? { idMapping } : {}
      const started = now()
      try {
        const launched = { ...others, ...bare, ...mapped, namespaces, process: none }
        await (await launch(launched, NONE)).wait()
        if (round >= 0) totals[title].push(now() - started)
      } catch {
        delete sets[title] // not this kind of user, or not yet
        delete totals[title]
      }
    }
  }
  const rows = Object.entries(totals).map(([title, values]) => `| ${title} | ${figures(values)} |`)
  return ['| namespaces | median ms | minimum ms |', '|---|---:|---:|', ...rows].join('\n')
}

/** Counts before and after many launches. */
export async function afterMany(directory, count) {
  const launches = spec(join(directory, 'root'))
  const once = async () => (await launch(launches, NONE)).wait()
  for (let n = 0; n < 50; n++) await once() // what is made once: the sealed copy, caches of the runtime
  globalThis.gc?.()
  const before = counts()
  const started = now()
  for (let n = 0; n < count; n++) await once()
  const each = (now() - started) / count
  const after = counts()
  const rows = Object.keys(before).map((key) => `| ${key} | ${before[key]} | ${after[key]} |`)
  const head = `| ${count} in a row, ${each.toFixed(2)} ms each | before | after |`
  return [head, '|---|---:|---:|', ...rows].join('\n')
}

function counts() {
  const lines = (path) => readFileSync(path, 'utf8').trim().split('\n').length
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  const children = pids.filter((pid) => {
    const stat = read(`/proc/${pid}/stat`)
    return stat !== undefined && Number(stat.split(') ')[1]?.split(' ')[1]) === process.pid
  })
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    mounts: lines('/proc/self/mountinfo'),
    'child processes': children.length,
    'network namespaces seen': new Set(pids.map((pid) => link(`/proc/${pid}/ns/net`))).size,
    'resident MB': Math.round(process.memoryUsage.rss() / 2 ** 20),
  }
}

function waiting(directory) {
  const { process: program, ...others } = spec(join(directory, 'root'))
  return { ...others, process: { ...program, args: ['/wait'] } }
}

function kilobytes(path, key) {
  return Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(readFileSync(path, 'utf8'))?.[1])
}

function read(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function link(path) {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}
