// Limits on a host with cgroup v2, tried for real: `node dev/check-limits.mjs [cgroup2|systemd|cgroup1|none]`,
// where the word is who should hold them. Needs nothing but Node and the built package, so that it
// can run in a virtual machine:
//
//   node dev/check-limits.mjs systemd     as a user with a systemd user manager, or as root
//   systemd-run --user --scope -p Delegate=yes node dev/check-limits.mjs cgroup2
//
// The working directory must be on a block device and writable; limits on swap are tried where there is some.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import * as ns from '../dist/index.js'

const [expected = 'systemd'] = process.argv.slice(2)
const HELD_BY = {
  cgroup2: { memory: 'cgroup2', pids: 'cgroup2', cpus: 'cgroup2' },
  systemd: { memory: 'systemd', pids: 'systemd', cpus: 'systemd' },
  cgroup1: { memory: 'cgroup1', pids: 'cgroup1', cpus: 'cgroup1' },
  none: { memory: 'watchdog', pids: 'userns-rlimit', cpus: 'affinity' },
}[expected]
const MEGABYTE = 1 << 20
const { uid, gid, username: userName } = userInfo()
const ownMap = readFileSync('/proc/self/uid_map', 'utf8')
const idMapping = ns.idmap.select({ uid, gid, userName, ownMap, subuid: '', subgid: '' })

if (expected === 'cgroup2' && ns.cgroup.detect().by !== 'cgroup2') ns.cgroup.delegate()
console.log(ns.cgroup.detect())

function spec(script, limits, more = {}, mounts = []) {
  const path = mkdtempSync(join(tmpdir(), 'limits-'))
  process.on('exit', () => rmSync(path, { recursive: true, force: true }))
  const bind = (source) => ({ type: 'bind', source, destination: source, readonly: true })
  return {
    namespaces: ['user', 'mount', 'pid', 'network', 'ipc', 'uts', 'cgroup'],
    idMapping,
    root: { path },
    mounts: [
      ...['/usr', '/bin', '/lib', '/lib64'].filter(existsSync).map(bind),
      { type: 'proc', destination: '/proc' },
      { type: 'dev', destination: '/dev' },
      { type: 'tmpfs', destination: '/tmp' },
      ...(existsSync('/sys/fs/cgroup/cgroup.procs')
        ? [{ type: 'cgroup', destination: '/sys/fs/cgroup' }]
        : []),
      ...mounts,
    ],
    maskedPaths: [],
    readonlyPaths: [],
    process: {
      args: ['/bin/sh', '-c', script],
      env: ['PATH=/usr/bin:/bin'],
      cwd: '/',
      uid: 0,
      gid: 0,
      additionalGids: [],
      umask: 0o022,
      capabilities: [],
      noNewPrivileges: true,
    },
    limits,
    ...more,
  }
}

async function start(script, limits, more, mounts) {
  const child = await ns.launch(spec(script, limits, more, mounts), {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let stdout = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  return { child, stdout: () => stdout }
}

async function run(script, limits, more) {
  const { child, stdout } = await start(script, limits, more)
  return { ...(await child.wait()), stdout: stdout() }
}

const checks = {
  async 'an ordinary program gets what it may have'() {
    const limits = { memoryBytes: 64 * MEGABYTE, pids: 20, cpus: 1 }
    const result = await run('cat /proc/self/cgroup; sleep 0.2', limits)
    assert.equal(result.reason, 'exit')
    for (const [name, by] of Object.entries(HELD_BY)) {
      assert.equal(result.limits[name].enforcedBy, by, name)
    }
    if (expected !== 'none') assert.match(result.stdout, /^0::\/(box)?$/m)
    return { stdout: result.stdout, usage: result.usage }
  },
  async 'memory that is asked for and not to be had ends it'() {
    const result = await run('tail /dev/zero', { memoryBytes: 30 * MEGABYTE })
    assert.equal(result.reason, 'memory')
    return result.usage
  },
  async 'files on a tmpfs are memory'() {
    if (expected === 'none') return 'not without a cgroup'
    const result = await run('head -c 100000000 /dev/zero >/tmp/x', { memoryBytes: 30 * MEGABYTE })
    assert.equal(result.reason, 'memory')
    return result.usage.peakMemoryBytes
  },
  async 'swap is used as far as it may be, and no further'() {
    if (expected === 'none') return 'not without a cgroup'
    if (readFileSync('/proc/swaps', 'utf8').trim().split('\n').length < 2) return 'there is no swap'
    const write = 'head -c 60000000 /dev/zero >/tmp/x && echo written'
    const memoryBytes = 30 * MEGABYTE
    const roomy = await run(write, { memoryBytes, memorySwapBytes: 130 * MEGABYTE })
    assert.equal(roomy.stdout, 'written\n')
    const tight = await run(write, { memoryBytes, memorySwapBytes: 40 * MEGABYTE })
    assert.equal(tight.reason, 'memory')
    const none = await run(write, { memoryBytes })
    assert.equal(none.reason, 'memory')
    return [roomy, tight, none].map(({ usage }) => usage.peakMemoryBytes)
  },
  async 'transfer to a disk is limited'() {
    if (!ns.cgroup.detect().controllers.includes('io')) return 'no io controller is handed down'
    const data = mkdtempSync(join(process.cwd(), 'transfer-'))
    process.on('exit', () => rmSync(data, { recursive: true, force: true }))
    const { dev } = statSync(data)
    const device = `${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`
    const write =
      'dd if=/dev/zero of=/data/x bs=1M count=8 oflag=direct 2>/dev/null && echo written'
    const timed = async (limits) => {
      const { child, stdout } = await start(write, limits, {}, [
        { type: 'bind', source: data, destination: '/data' },
      ])
      const result = await child.wait()
      assert.equal(stdout(), 'written\n')
      return { ms: result.usage.wallMs, io: result.limits.io }
    }
    const free = await timed({})
    const held = await timed({ io: [{ device, writeBytes: 2 * MEGABYTE }] })
    assert.ok(held.ms >= 3000, `8 MB at 2 MB a second took ${held.ms} ms`)
    return { device, free: free.ms, held }
  },
  async 'a fork bomb is held'() {
    const script = 'bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 2; exit 5'
    const result = await run(`(${script}) 2>/dev/null`, { pids: 20, wallMs: 60_000 })
    assert.notEqual(result.reason, 'wall')
    if (result.usage.pidsDenied !== undefined) {
      assert.ok(result.usage.pidsDenied > 0)
      assert.equal(result.reason, 'pids')
    }
    return result.usage
  },
  async 'a busy loop gets its share'() {
    if (expected === 'none') return 'whole processors only'
    const result = await run('while :; do :; done', { cpus: 0.25, wallMs: 2000 })
    assert.equal(result.reason, 'wall')
    const share = (result.usage.userMs + result.usage.systemMs) / result.usage.wallMs
    assert.ok(share < 0.4, `it had ${share}`)
    return share
  },
  async 'processor time is limited'() {
    const result = await run('while :; do :; done', { cpuMs: 500 })
    assert.equal(result.reason, 'cpu')
    return result.usage
  },
  async 'a flood of output is limited'() {
    const result = await run('yes', { outputBytes: 50_000 })
    assert.equal(result.reason, 'output')
    assert.equal(result.stdout.length, 50_000)
  },
  async 'root inside cannot raise a limit, nor leave its group'() {
    if (!existsSync('/sys/fs/cgroup/cgroup.procs') || expected === 'none')
      return 'no cgroup to try it on'
    const script = `cd /sys/fs/cgroup; cat cgroup.procs | wc -l; cat memory.max; echo max > memory.max; cat memory.max
      mkdir inner && echo 0 > inner/cgroup.procs; cat /proc/self/cgroup; cat /proc/1/cgroup`
    const result = await run(script, { memoryBytes: 50 * MEGABYTE })
    const values = result.stdout.match(/^\d{6,}$|^max$/gm) ?? []
    for (const value of values) assert.equal(value, String(50 * MEGABYTE))
    return result.stdout
  },
  async 'it can be paused and goes on, and says what it uses'() {
    if (expected === 'none') return 'no freezer'
    const script = 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done'
    const { child, stdout } = await start(script, {}, { cgroup: {} })
    await new Promise((resolve) => setTimeout(resolve, 1000))
    const usage = await child.usage()
    await child.pause()
    await new Promise((resolve) => setTimeout(resolve, 200))
    const before = stdout().length
    await new Promise((resolve) => setTimeout(resolve, 1000))
    assert.equal(stdout().length, before)
    await child.resume()
    await new Promise((resolve) => setTimeout(resolve, 1000))
    assert.ok(stdout().length > before)
    await child.pause()
    child.kill('SIGKILL')
    await child.wait()
    return usage
  },
  async 'nothing is left behind'() {
    await new Promise((resolve) => setTimeout(resolve, 1000))
    const left = groupsOf(readFileSync('/proc/self/cgroup', 'utf8'))
    assert.deepEqual(left, [])
  },
}

function groupsOf() {
  const find = (directory) =>
    readdirSync(directory, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory()
        ? [
            ...(entry.name.startsWith('cromwell-') ? [join(directory, entry.name)] : []),
            ...find(join(directory, entry.name)),
          ]
        : [],
    )
  return find('/sys/fs/cgroup')
}

let failed = 0
for (const [name, check] of Object.entries(checks)) {
  const begin = performance.now()
  try {
    const shown = await check()
    console.log(`ok   ${name} (${Math.round(performance.now() - begin)} ms)`, shown ?? '')
  } catch (error) {
    failed++
    console.log(`FAIL ${name}`, error)
  }
}
process.exitCode = failed
