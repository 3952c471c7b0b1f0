import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { canCreateUserNamespace, requires, requiresProgram } from '@cromwell/test-support'
import { beforeEach, expect, test } from 'vitest'
import { containerSpec, eventually, idMapping, singleId } from './container.test.fixture.ts'
import { ELSEWHERE, NEVER_FAIL, STEPS_OF, TOLERATED } from './fault-expectations.test.fixture.ts'
import { type CallSite, type FaultOutcome, Injector } from './fault-injection.test.fixture.ts'
import { landlock } from './landlock.ts'
import type { LaunchSpec } from './launch-spec.ts'
import { STEPS, type Step } from './steps.ts'

// Every system call of every process of a launch fails once, and every process dies once at each of its
// calls. A call that is new here fails the test with the line to add to fault-expectations.test.fixture.ts
// when the launch survives it, and with nothing to do when it is an error that names a step.

// setuid programs do not work under a tracer: so one id, which needs none
const mapping = idMapping.kind === 'subid' ? singleId : idMapping
// Calls failing: all of them as the user that this is made for. Deaths, which are all alike, and other
// users: a sample. All of everything with CROMWELL_TEST_SWEEP=1; =print shows how each went.
const sweep = process.env['CROMWELL_TEST_SWEEP'] !== undefined
const STRIDE = sweep || idMapping.kind === 'single' ? 1 : 9
const DEATH_STRIDE = sweep ? 1 : 5 * STRIDE
const PARALLEL = 4
const EIO = 5

/** What launches are made of; a new part of the helper wants to be in one of them. */
type Changes = { [Key in keyof LaunchSpec]?: LaunchSpec[Key] | undefined }

const scenarios: Record<string, (directory: string) => Changes> = {
  'a full container with log, exit file and a directory to remove': (directory) => ({
    monitor: {
      logPath: join(directory, 'log'),
      exitPath: join(directory, 'exit'),
      removeOnExit: [join(directory, 'garbage')],
    },
  }),
  'a terminal, and a directory as read-only root': (directory) => {
    const { process, mounts, root } = containerSpec(['/bin/true'])
    const image = root?.overlay?.lowerDirs[0]
    return {
      maskedPaths: [],
      readonlyPaths: [],
      mounts: mounts.filter(({ type }) => type !== 'sysfs'),
      root: { path: image ?? '/', readonly: true },
      process: { ...process, terminal: { columns: 80, rows: 25 } },
      monitor: { removeOnExit: [join(directory, 'garbage')] },
    }
  },
  'a root of nothing, files from memory, and a socket that listens': (directory) => {
    const { process } = containerSpec(['/usr/bin/true'])
    return {
      maskedPaths: [],
      readonlyPaths: [],
      root: { tmpfs: {} },
      mounts: [
        { type: 'bind', source: '/usr', destination: '/usr', readonly: true },
        { type: 'symlink', target: 'usr/lib', destination: '/lib' },
        { type: 'symlink', target: 'usr/lib64', destination: '/lib64' },
        { type: 'file', destination: '/etc/motd', content: 'hello' },
        { type: 'tmpfs', destination: '/tmp' },
      ],
      network: { listen: [{ port: 0 }] },
      process: { ...process, args: ['/usr/bin/true'], cwd: '/tmp/made' },
      monitor: { removeOnExit: [join(directory, 'garbage')] },
    }
  },
  'clocks, limits, priorities, ambient capabilities and Landlock': (directory) => {
    const { process, namespaces } = containerSpec(['/bin/true'])
    const everything =
      landlock.abi() > 0 ? [{ path: '/', access: ['read', 'execute'] as const }] : []
    return {
      namespaces: [...namespaces, 'time'],
      timeOffsets: { monotonic: { secs: 60 } },
      domainname: 'example',
      maxUserNamespaces: 0,
      maskedPaths: [],
      readonlyPaths: [],
      process: {
        ...process,
        rlimits: [{ type: 'RLIMIT_NOFILE', soft: 64, hard: 64 }],
        oomScoreAdj: 500,
        nice: 1,
        ioPriority: { class: 'IOPRIO_CLASS_IDLE', priority: 0 },
        affinity: [0],
        ambientCapabilities: ['CAP_CHOWN'],
        keyring: true,
        ...(everything.length > 0 && { landlock: { fs: everything } }),
      },
      monitor: { removeOnExit: [join(directory, 'garbage')] },
    }
  },
  // its end is told before PID 1 has ended
  'nothing to be done at its end': () => {
    const { root } = containerSpec(['/bin/true'])
    return {
      maskedPaths: [],
      readonlyPaths: [],
      root: { path: root?.overlay?.lowerDirs[0] ?? '/', readonly: true },
    }
  },
  'no root of its own': (directory) => ({
    namespaces: ['user', 'pid'],
    hostname: undefined,
    root: undefined,
    mounts: [],
    maskedPaths: [],
    readonlyPaths: [],
    monitor: { removeOnExit: [join(directory, 'garbage')] },
  }),
}

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

const reported = new Set<string | undefined>()

interface Case {
  site: CallSite
  outcome: FaultOutcome
  /** What should not be there any more. */
  leftovers: string[]
}

for (const [title, changes] of Object.entries(scenarios)) {
  test(`every system call fails once: ${title}`, async (context) => {
    const cases = await tryAll(requiresProgram(context, 'cc'), changes, EIO, STRIDE)
    for (const { outcome } of cases) reported.add(outcome.launchError?.step)
    expect(cases.length).toBeGreaterThan(150 / STRIDE)
    expect(cases.flatMap((one) => judgeError(one))).toEqual([])
    expect(stepsOutOfOrder(cases)).toEqual([])
  })

  test(`every process dies at each of its calls: ${title}`, async (context) => {
    const cases = await tryAll(requiresProgram(context, 'cc'), changes, 0, DEATH_STRIDE)
    expect(cases.flatMap((one) => judgeDeath(one))).toEqual([])
  })
}

// A step whose name is forgotten is told as the one before it.
test('every step was told by some failing call', (context) => {
  if (STRIDE > 1) context.skip('this user tries a sample')
  expect(STEPS.filter((step) => !reported.has(step) && !(step in ELSEWHERE))).toEqual([])
})

async function tryAll(
  cc: string,
  changes: (directory: string) => Changes,
  errno: number,
  stride: number,
): Promise<Case[]> {
  const injector = new Injector(cc)
  const top = mkdtempSync(join(tmpdir(), 'cromwell-faults-'))
  const cases: Case[] = []
  const specIn = (name: string) => {
    const directory = join(top, name)
    const changed = changes(directory)
    const garbage = changed.monitor === undefined ? [] : ['garbage/deep']
    for (const name of garbage) mkdirSync(join(directory, name), { recursive: true })
    const spec = { ...containerSpec(['/bin/true']), idMapping: mapping, ...changed }
    return Object.fromEntries(
      Object.entries(spec).filter(([, value]) => value !== undefined),
    ) as unknown as LaunchSpec // what a scenario undefines is optional
  }
  try {
    await injector.record(specIn('first')) // what is opened once and kept
    const before = countWhatMayLeak()
    const recorded = await injector.record(specIn('record'))
    const sites = recorded
      .filter(({ call }) => errno === 0 || !NEVER_FAIL.has(call))
      // how often something is waited for depends on the machine
      .filter(({ call, occurrence }) => call !== 'ppoll' || occurrence <= 6)
      .filter((_, n) => n % stride === 0)
    let next = 0
    const work = async () => {
      for (let n = next++; n < sites.length; n = next++) {
        const site = sites[n]
        if (site === undefined) break
        const outcome = await injector.inject(specIn(`${n}`), { ...site, errno })
        const garbage = join(top, `${n}`, 'garbage')
        cases[n] = { site, outcome, leftovers: existsSync(garbage) ? ['garbage'] : [] }
      }
    }
    await Promise.all(Array.from({ length: PARALLEL }, work))
    if (process.env['CROMWELL_TEST_SWEEP'] === 'print') print(cases)
    await eventually(() => countWhatMayLeak().descriptors <= before.descriptors)
    expect(countWhatMayLeak().mounts).toBe(before.mounts)
    return cases
  } finally {
    injector.close()
    rmSync(top, { recursive: true, force: true })
  }
}

function print(cases: readonly Case[]): void {
  for (const one of cases) console.log(describe(one))
}

function describe({ site, outcome, leftovers }: Case): string {
  const error = outcome.launchError ?? outcome.waitError
  const how = error === undefined ? outcome.status : `${error.code} ${error.step} ${error.errno}`
  const facts = [...outcome.complaints, ...leftovers].join(', ')
  return `${site.role} ${site.call} #${site.occurrence}: ${how}${facts && ` (${facts})`}`
}

function countWhatMayLeak() {
  return {
    mounts: readFileSync('/proc/self/mountinfo', 'utf8'),
    descriptors: readdirSync('/proc/self/fd').length,
  }
}

// Either an error that names the errno and a step that fits, or a launch that is known to go on.
function judgeError(one: Case): string[] {
  const { site, outcome, leftovers } = one
  if (!outcome.injected) return []
  const complain = (what: string) => [`${what}: ${describe(one)}`]
  const tolerated = TOLERATED.find(({ role, call, occurrences }) => {
    const here = (role === '*' || role === site.role) && call.split(' ').includes(site.call)
    return here && (occurrences?.includes(site.occurrence) ?? true)
  })
  const left = leftovers.length > 0 && tolerated?.leaves !== true
  if (left || outcome.complaints.length > 0) return complain('left behind')
  const error = outcome.launchError ?? outcome.waitError
  if (error === undefined) return tolerated === undefined ? complain('not an error') : []
  if (error.errno !== EIO) return tolerated?.vague === true ? [] : complain('a wrong errno')
  const steps = STEPS_OF[site.call]
  return steps === undefined || steps.some((step) => step === error.step)
    ? []
    : complain('a wrong step')
}

// Taken by more than one process, or more than once.
const ANYWHERE = /^(init|monitor|procfs|dumpable|mnt|stdio|rlimit|root\.detach|idmap\..*)$/

// In each process steps are taken in the order in which STEPS lists them.
function stepsOutOfOrder(cases: readonly Case[]): string[] {
  const reached = new Map<string, number>()
  return cases.flatMap((one) => {
    const { step, errno } = one.outcome.launchError ?? {}
    if (step === undefined || errno !== EIO || ANYWHERE.test(step)) return []
    // how often the payload looks whether the old root is gone depends on the machine's load
    if (one.site.call === 'statx') return []
    const position = STEPS.indexOf(step as Step)
    const last = reached.get(one.site.role) ?? 0
    reached.set(one.site.role, Math.max(last, position))
    return position < last ? [`after ${STEPS[last]}: ${describe(one)}`] : []
  })
}

function judgeDeath(one: Case): string[] {
  const { site, outcome, leftovers } = one
  if (!outcome.injected) return []
  const complain = (what: string) => [`${what}: ${describe(one)}`]
  if (outcome.complaints.length > 0) return complain('left behind')
  const { launchError, waitError, status } = outcome
  const lost = [launchError?.code, waitError?.code].includes('ERR_NS_MONITOR_LOST')
  // Nobody removes anything when who would do it is dead.
  const mayLeave = site.role === 'monitor' || site.role === 'helper'
  if (leftovers.length > 0 && !mayLeave) return complain('left behind')
  if (site.role === 'monitor') return lost || status === 'exit 0' ? [] : complain('not told')
  if (lost) return complain('not the monitor')
  if (launchError !== undefined) return launchError.step === undefined ? complain('no step') : []
  const ends = site.role === 'helper' ? ['exit 0'] : ['exit 0', 'SIGKILL']
  return ends.includes(status ?? '') ? [] : complain('odd end')
}
