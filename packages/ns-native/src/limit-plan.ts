import { randomBytes } from 'node:crypto'
import { join as joinPath } from 'node:path'
import { scopeEntry } from './cgroup/container-scope.ts'
import { currentFacts } from './cgroup/facts.ts'
import { readCgroupStats } from './cgroup/group-files.ts'
import { type Group, groupsAt, groupsInScope } from './cgroup/groups.ts'
import { type Controller, findPlaces, type Place, placeIn } from './cgroup/place.ts'
import { startScope } from './cgroup/systemd-scope.ts'
import { PolicyError, UnsupportedError } from './errors.ts'
import type { LaunchSpec } from './launch-spec.ts'
import type { EffectiveLimit, EffectiveLimits, Enforcer, LimitName, Limits } from './limits.ts'
import { allowedProcessors } from './processors.ts'

/** What the monitor holds itself; the fields of `struct cw_limits`, 0 is no limit. */
export interface HeldLimits {
  wallMs: number
  cpuMicros: number
  outputBytes: number
  memoryBytes: number
  pids: number
  nproc: number
}

/** How the limits of one launch are held. */
export interface LimitPlan {
  effective: EffectiveLimits
  held: HeldLimits
  /** The processors to run on, where that is how their number is limited. */
  affinity?: readonly number[]
  /** There is a group, so it can be paused. */
  hasGroup: boolean
  /** The groups; from systemd they come only once there is a monitor to put into its scope. */
  groups: readonly Group[] | ((monitorPid: number) => Promise<readonly Group[]>)
}

const NOTHING_HELD: HeldLimits = {
  wallMs: 0,
  cpuMicros: 0,
  outputBytes: 0,
  memoryBytes: 0,
  pids: 0,
  nproc: 0,
}

const CONTROLLERS = { memory: 'memory', cpus: 'cpu', pids: 'pids', io: 'io' } as const
type GroupLimit = keyof typeof CONTROLLERS

/**
 * Decide who holds each limit of a spec: control groups where this process has any to give, else
 * what the kernel and the monitor can do without. Throws UnsupportedError for a limit that nothing
 * holds, unless `allowDegraded` names it. A program that joins a container is in its groups.
 */
export function planLimits(spec: LaunchSpec, join?: { pid: number; nproc?: number }): LimitPlan {
  if (spec.limits === undefined && spec.cgroup === undefined && join === undefined) {
    return { effective: {}, held: { ...NOTHING_HELD }, hasGroup: false, groups: [] }
  }
  const limits = spec.limits ?? {}
  const asked = groupLimits(limits)
  const wantsGroup = asked.length > 0 || spec.cgroup !== undefined
  const place = wantsGroup ? choosePlace(spec, asked) : undefined
  const plan: LimitPlan = {
    effective: monitorLimits(limits),
    held: {
      wallMs: limits.wallMs ?? 0,
      cpuMicros: Math.ceil((limits.cpuMs ?? 0) * 1000),
      outputBytes: limits.outputBytes ?? 0,
      memoryBytes: 0,
      pids: 0,
      nproc: join?.nproc ?? 0,
    },
    hasGroup: place !== undefined,
    groups: place === undefined ? ((join && scopeEntry(join.pid)) ?? []) : makeGroups(place, spec),
  }
  for (const name of asked) {
    const held = place?.controllers.has(CONTROLLERS[name])
    plan.effective[name] = held
      ? byGroup(name, limits, place?.kind ?? 'cgroup2')
      : withoutGroup(name, spec, plan)
  }
  return plan
}

function groupLimits(limits: Limits): GroupLimit[] {
  const given: [GroupLimit, boolean][] = [
    ['memory', limits.memoryBytes !== undefined],
    ['cpus', limits.cpus !== undefined],
    ['pids', limits.pids !== undefined],
    ['io', (limits.io ?? []).length > 0],
  ]
  return given.filter(([, asked]) => asked).map(([name]) => name)
}

function choosePlace(spec: LaunchSpec, asked: readonly GroupLimit[]): Place | undefined {
  const needed: Controller[] = asked.map((name) => CONTROLLERS[name])
  const facts = currentFacts()
  const { parent } = spec.cgroup ?? {}
  if (parent === undefined) {
    const [best] = findPlaces(needed, facts)
    if (best === undefined && spec.cgroup !== undefined) {
      throw new UnsupportedError('there is no control group that a new one could be made in', {
        missing: ['cgroup'],
        hint: NO_GROUP_HINT,
      })
    }
    return best
  }
  const place = placeIn(parent, needed, facts)
  if (place !== undefined) return unused(place, parent, spec.cgroup?.name)
  throw new PolicyError(
    `cannot use the control group ${parent}: it must be a version 2 group that this user may write to`,
    { pointer: '/cgroup/parent', hint: NO_GROUP_HINT },
    'ERR_NS_SPEC',
  )
}

// A group of that name would be emptied: only what a dead launch left may be.
function unused(place: Place, parent: string, name: string | undefined): Place {
  if (name === undefined || !readCgroupStats(joinPath(parent, name)).populated) return place
  const message = `there are processes in the control group ${parent}/${name}`
  throw new PolicyError(
    message,
    { pointer: '/cgroup/name', hint: 'choose another name' },
    'ERR_NS_SPEC',
  )
}

const NO_GROUP_HINT =
  'run as a systemd service or scope with Delegate=yes and call cgroup.delegate(), or have a systemd ' +
  'user manager (loginctl enable-linger), or be root'

async function scopeGroups(
  place: Extract<Place, { kind: 'systemd' }>,
  pid: number,
  wish: Parameters<typeof groupsInScope>[2],
): Promise<Group[]> {
  const scope = await startScope(place.manager, pid)
  return groupsInScope(`${place.mountPoint}${scope}`, place.nsdelegate, wish)
}

function makeGroups(place: Place, spec: LaunchSpec): LimitPlan['groups'] {
  const limits = spec.limits ?? {}
  const controllers = new Set<Controller>()
  for (const name of place.controllers) {
    // memory and pids say the peak, so they are wanted without a limit, too
    const asked = groupLimits(limits).some((limit) => CONTROLLERS[limit] === name)
    if (asked || ((name === 'memory' || name === 'pids') && isHandedDown(place, name))) {
      controllers.add(name)
    }
  }
  // whose it is: what a dead process left behind, and only that, may be removed by anyone
  const { name = `cromwell-${process.pid}-${randomBytes(4).toString('hex')}` } = spec.cgroup ?? {}
  const wish = { limits, controllers, name, automatic: spec.cgroup?.name === undefined }
  return place.kind === 'systemd' ? (pid) => scopeGroups(place, pid, wish) : groupsAt(place, wish)
}

function isHandedDown(place: Place, name: Controller): boolean {
  return place.kind !== 'cgroup2' || !place.enable.includes(name)
}

function monitorLimits({ wallMs, cpuMs, outputBytes }: Limits): EffectiveLimits {
  const byMonitor = (limit: number | undefined): EffectiveLimit | undefined =>
    limit === undefined ? undefined : { enforcedBy: 'monitor', limit }
  const entries = { wall: byMonitor(wallMs), cpu: byMonitor(cpuMs), output: byMonitor(outputBytes) }
  const given = Object.entries(entries).filter(([, limit]) => limit !== undefined)
  return Object.fromEntries(given) as EffectiveLimits // without the undefined ones
}

function byGroup(name: GroupLimit, limits: Limits, enforcedBy: Enforcer): EffectiveLimit {
  return { enforcedBy, ...amount(name, limits) }
}

function amount(name: GroupLimit, { memoryBytes, cpus, pids }: Limits): { limit?: number } {
  const limit = { memory: memoryBytes, cpus, pids, io: undefined }[name]
  return limit === undefined ? {} : { limit }
}

function withoutGroup(name: GroupLimit, spec: LaunchSpec, plan: LimitPlan): EffectiveLimit {
  const limits = spec.limits ?? {}
  switch (name) {
    case 'memory':
      plan.held.memoryBytes = limits.memoryBytes ?? 0
      return {
        enforcedBy: 'watchdog',
        ...amount(name, limits),
        ...swapNote(spec),
      }
    case 'cpus':
      return byAffinity(spec, plan)
    case 'pids':
      return byRlimit(spec, plan)
    case 'io':
      return degraded(
        'io',
        spec,
        { enforcedBy: null, degraded: true },
        'no cgroup controls transfers here',
      )
  }
}

// The watchdog sees what is in memory; what was swapped out is gone from its sight.
function swapNote(spec: LaunchSpec): { note?: string } {
  const tmpfs = spec.mounts.some((mount) => mount.type === 'tmpfs' || mount.type === 'dev')
  return tmpfs ? { note: 'files on a tmpfs count by the size of their mounts only' } : {}
}

function byAffinity(spec: LaunchSpec, plan: LimitPlan): EffectiveLimit {
  const cpus = spec.limits?.cpus ?? 0
  const all = spec.process.affinity ?? allowedProcessors()
  const count = Math.min(Math.ceil(cpus), all.length)
  // not all containers on the first ones
  const first = Math.floor(Math.random() * all.length)
  plan.affinity = [...all.slice(first), ...all.slice(0, first)].slice(0, count)
  const effective: EffectiveLimit = { enforcedBy: 'affinity', limit: cpus }
  if (Number.isInteger(cpus)) return effective
  const why = 'a part of a processor cannot be had without a cgroup'
  return degraded('cpus', spec, { ...effective, limit: count, degraded: true, note: why }, why)
}

/**
 * RLIMIT_NPROC counts what a user has in its user namespace (Linux 5.14), so that of a new one with
 * one id counts this container; with more ids it is per id, and the monitor counts them together.
 * The host's root is exempt (kernel/fork.c).
 */
function byRlimit(spec: LaunchSpec, plan: LimitPlan): EffectiveLimit {
  const pids = spec.limits?.pids ?? 0
  const uids = spec.idMapping?.uidMappings ?? []
  const exempt = uids.some(({ hostID }) => hostID === 0)
  if (spec.namespaces.includes('user') && !exempt) {
    plan.held.nproc = pids + 1
    const several = uids.length > 1 || (uids[0]?.size ?? 1) > 1
    if (several) plan.held.pids = pids
    return { enforcedBy: 'userns-rlimit', limit: pids }
  }
  plan.held.pids = pids
  const why = exempt
    ? 'the host’s root is exempt from RLIMIT_NPROC, and there is no cgroup'
    : 'without a user namespace and a cgroup nothing counts processes of this container alone'
  const instead: EffectiveLimit = { enforcedBy: 'watchdog', limit: pids, degraded: true, note: why }
  return degraded('pids', spec, instead, why)
}

/** What is in force instead, if the caller put up with that. */
function degraded(
  name: LimitName,
  spec: LaunchSpec,
  instead: EffectiveLimit,
  why: string,
): EffectiveLimit {
  if (spec.allowDegraded?.includes(name)) return instead
  throw new UnsupportedError(`cannot limit ${name} as asked for: ${why}`, {
    missing: [name],
    pointer: `/limits/${name === 'memory' ? 'memoryBytes' : name}`,
    hint: `${NO_GROUP_HINT}; or allow less by allowDegraded: ['${name}']`,
  })
}
