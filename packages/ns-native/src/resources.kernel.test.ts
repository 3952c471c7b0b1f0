import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { ALLOW_ALL, containerSpec, runScript, runSpec } from './container.test.fixture.ts'
import { CAPABILITIES } from './defaults.ts'
import type { ProcessSpec } from './launch-spec.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

const isRoot = process.getuid?.() === 0
const mayRaise = canRaiseLimits()

/** What a program prints that runs as this says. */
async function run(script: string, change: Partial<ProcessSpec>): Promise<string> {
  return (await runScript(script, { process: { seccomp: ALLOW_ALL, ...change } })).stdout
}

test('every resource limit is what was asked, soft and hard', async () => {
  const limits = await run('cat /proc/self/limits', {
    rlimits: [
      { type: 'RLIMIT_NOFILE', soft: 100, hard: 200 },
      { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
      { type: 'RLIMIT_CPU', soft: 10, hard: 'infinity' },
      { type: 'RLIMIT_FSIZE', soft: 1 << 20, hard: 2 ** 40 },
    ],
  })
  expect(limits).toMatch(/^Max open files +100 +200 /m)
  expect(limits).toMatch(/^Max core file size +0 +0 /m)
  expect(limits).toMatch(/^Max cpu time +10 +unlimited /m)
  expect(limits).toMatch(/^Max file size +1048576 +1099511627776 /m)
})

test('a limit of processes counts those of the container, whatever else the user runs', async (context) => {
  requires(context, 'plain-user', !isRoot, 'root’s processes are not limited')
  const rlimits = [{ type: 'RLIMIT_NPROC', soft: 6, hard: 6 }] as const
  const script = 'for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; echo made'
  const { stdout, stderr } = await runScript(script, { process: { rlimits } })
  expect(stdout).toBe('')
  expect(stderr).toMatch(/cannot fork/i)
  expect(await run('sleep 0 & sleep 0 & wait; echo made', { rlimits })).toBe('made\n')
})

test('limits are in force with and without no_new_privs, under a filter that forbids to set them', async () => {
  const rlimits = [{ type: 'RLIMIT_NOFILE', soft: 64, hard: 64 }] as const
  for (const noNewPrivileges of [true, false]) {
    expect(await run('ulimit -n', { rlimits, noNewPrivileges })).toBe('64\n')
  }
})

test('a hard limit is raised for root, and an error for others', async () => {
  const now = Number(
    /Max open files +\d+ +(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1],
  )
  const rlimits = [{ type: 'RLIMIT_NOFILE', soft: 10, hard: now + 1 }] as const
  const started = run('ulimit -Hn', { rlimits })
  if (mayRaise) return expect(await started).toBe(`${now + 1}\n`)
  await expect(started).rejects.toMatchObject({
    code: 'ERR_NS_SETUP',
    step: 'rlimit',
    index: 0,
    errno: 1,
    message: expect.stringContaining('RLIMIT_NOFILE'),
    hint: expect.stringContaining('CAP_SYS_RESOURCE'),
  })
})

test('the OOM score is raised for all, and lowered below its own by root alone', async () => {
  expect(await run('cat /proc/self/oom_score_adj', { oomScoreAdj: 500 })).toBe('500\n')
  const lowered = run('cat /proc/self/oom_score_adj', { oomScoreAdj: -500 })
  if (mayRaise) expect(await lowered).toBe('-500\n')
  else {
    await expect(lowered).rejects.toMatchObject({
      step: 'oomscore',
      errno: 13,
      hint: expect.stringContaining('only root'),
    })
  }
})

test('the nice value is raised for all, and lowered below its own by root alone', async () => {
  expect(await run('nice', { nice: 7 })).toBe('7\n')
  const lowered = run('nice', { nice: -7 })
  if (isRoot) expect(await lowered).toBe('-7\n')
  else await expect(lowered).rejects.toMatchObject({ step: 'sched', errno: 13 })
})

test('I/O class and priority are what was asked', async () => {
  const ioPriority = { class: 'IOPRIO_CLASS_BE', priority: 6 } as const
  expect(await run('ionice', { ioPriority })).toBe('best-effort: prio 6\n')
  expect(await run('ionice', { ioPriority: { class: 'IOPRIO_CLASS_IDLE', priority: 0 } })).toBe(
    'idle\n',
  )
})

test('it runs on the named processors, and those that do not exist are an error', async () => {
  expect(await run('grep Cpus_allowed_list /proc/self/status', { affinity: [0] })).toMatch(
    /:\s0\n$/,
  )
  await expect(run('true', { affinity: [8191] })).rejects.toMatchObject({
    step: 'sched',
    errno: 22,
    hint: expect.stringContaining('none of the processors'),
  })
})

test('ambient capabilities stay with a program whose user is not root', async () => {
  const capabilities = ['CAP_NET_BIND_SERVICE', 'CAP_CHOWN']
  const spec = containerSpec(['cat', '/proc/self/status'], {
    process: { capabilities, ambientCapabilities: ['CAP_NET_BIND_SERVICE'] },
  })
  // the mapping of one id to one that is not root
  const idMapping = {
    kind: 'single',
    uidMappings: [{ containerID: 1000, hostID: process.getuid?.() ?? 0, size: 1 }],
    gidMappings: [{ containerID: 1000, hostID: process.getgid?.() ?? 0, size: 1 }],
    key: 'thousand',
  } as const
  const user = { ...spec, idMapping, process: { ...spec.process, uid: 1000, gid: 1000 } }
  const { stdout } = await runSpec(user)
  for (const set of ['Inh', 'Prm', 'Eff', 'Amb']) {
    expect(stdout).toContain(`Cap${set}:\t0000000000000400`)
  }
  expect(stdout).toContain('CapBnd:\t0000000000000401')
  const { ambientCapabilities: _, ...without } = user.process
  const { stdout: none } = await runSpec({ ...user, process: without })
  for (const set of ['Inh', 'Prm', 'Eff', 'Amb']) {
    expect(none).toContain(`Cap${set}:\t0000000000000000`)
  }
})

test('the domain name is set beside the hostname', async () => {
  const script = 'cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname'
  const { stdout } = await runScript(script, { hostname: 'box', domainname: 'example.org' })
  expect(stdout).toBe('box\nexample.org\n')
})

test('rule 18: without user namespaces below its own, none can be made, whatever the filter', async () => {
  const script = 'cat /proc/sys/user/max_user_namespaces; unshare -U true && echo made'
  const capabilities = ['CAP_SYS_ADMIN']
  const program = { seccomp: ALLOW_ALL, capabilities }
  const { stdout, stderr } = await runScript(script, { maxUserNamespaces: 0, process: program })
  expect(stdout).toBe('0\n')
  expect(stderr).toContain('No space left on device')
  expect((await runScript(script, { maxUserNamespaces: 1, process: program })).stdout).toBe(
    '1\nmade\n',
  )
})

test('a label of a security module that is not active is an error', async () => {
  for (const [label, missing] of [
    [{ apparmorProfile: 'cromwell-test' }, 'apparmor'],
    [{ selinuxLabel: 'system_u:system_r:container_t:s0' }, 'selinux'],
  ] as const) {
    const active = {
      apparmor: '/sys/kernel/security/apparmor',
      selinux: '/sys/fs/selinux/enforce',
    }[missing]
    if (readable(active)) continue
    await expect(run('true', label)).rejects.toMatchObject({
      code: 'ERR_NS_UNSUPPORTED',
      missing: [missing],
    })
  }
})

test('a program runs under its AppArmor profile, which no_new_privs does not keep it from', async (context) => {
  const name = `cromwell-test-${process.pid}`
  const profile = `profile ${name} flags=(attach_disconnected) { file, signal, deny /kept r, }`
  const parse = (option: string) => spawnSync('apparmor_parser', [option], { input: profile })
  const loaded = parse('--replace').status === 0
  requires(context, 'apparmor', loaded, 'no AppArmor, or no right to load a profile')
  onTestFinished(() => void parse('--remove'))
  const script = 'cat /kept; cat /proc/self/attr/apparmor/current'
  const mounts = [{ type: 'file', destination: '/kept', content: 'secret' }] as const
  for (const noNewPrivileges of [true, false]) {
    const result = await runScript(script, {
      mounts,
      process: { apparmorProfile: name, noNewPrivileges },
    })
    expect(result).toMatchObject({
      stdout: `${name} (enforce)\n`,
      stderr: expect.stringMatching(/\/kept.*Permission denied/),
    })
  }
  await expect(run('true', { apparmorProfile: `${name}-not-loaded` })).rejects.toMatchObject({
    code: 'ERR_NS_SETUP',
    step: 'lsm.label',
    hint: expect.stringContaining('apparmor_parser'),
  })
})

// CAP_SYS_RESOURCE, which root in a container of others lacks.
function canRaiseLimits(): boolean {
  const bits = /^CapEff:\s(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  return ((BigInt(`0x${bits}`) >> BigInt(CAPABILITIES.CAP_SYS_RESOURCE)) & 1n) === 1n
}

function readable(path: string): boolean {
  try {
    readFileSync(path)
    return true
  } catch (error) {
    // a directory can be there, too
    return (error as NodeJS.ErrnoException).code === 'EISDIR'
  }
}
