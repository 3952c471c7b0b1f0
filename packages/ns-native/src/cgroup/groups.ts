import { rmdirSync } from 'node:fs'
import { join } from 'node:path'
import type { IoLimit, Limits } from '../limits.ts'
import type { Controller, Place } from './place.ts'

/** One group for the monitor to make or to write into; `CW_GROUP_*` and `CW_ROLE_*` of native/init/records.h. */
export interface Group {
  path: string
  flags: number
  roles: number
  /** File and value; a `?` before the file: unless the kernel lacks it. */
  writes: readonly (readonly [string, string])[]
}

export const GROUP = { make: 1, into: 2, attach: 4, sweep: 8, keep: 16 }
export const ROLE = {
  v1: 1,
  memory: 2,
  cpu: 4,
  pids: 8,
  io: 16,
  kill: 32,
  freeze: 64,
  oom: 128,
  denied: 256,
}

const CPU_PERIOD_MICROS = 100_000
/** Of the group that the monitor of a systemd scope is in, so that the scope itself has no process. */
const MONITOR_GROUP = 'monitor'
const INNER_GROUP = 'box'

/** What a group is to hold. */
export interface GroupWish {
  limits: Limits
  /** Those of the limits' controllers that the place has. */
  controllers: ReadonlySet<Controller>
  /** Of the container's group. */
  name: string
  /** The name was made for this launch. */
  automatic: boolean
}

/** The groups of a container in a place, in the order in which they are to be made. */
export function groupsAt(place: Exclude<Place, { kind: 'systemd' }>, wish: GroupWish): Group[] {
  return place.kind === 'cgroup1' ? versionOne(place, wish) : versionTwo(place, wish)
}

/** The same in a scope that systemd has made, with the monitor in it. */
export function groupsInScope(scope: string, nsdelegate: boolean, wish: GroupWish): Group[] {
  const monitor: Group = {
    path: join(scope, MONITOR_GROUP),
    flags: GROUP.make | GROUP.keep,
    roles: 0,
    writes: [['cgroup.procs', '0']],
  }
  return [
    monitor,
    ...versionTwo({ parent: scope, enable: [...wish.controllers], nsdelegate }, wish),
  ]
}

function versionTwo(
  place: { parent: string; enable: readonly Controller[]; nsdelegate: boolean },
  { limits, controllers, name, automatic }: GroupWish,
): Group[] {
  const { parent, enable, nsdelegate } = place
  const path = join(parent, name)
  const handDown = enable.map((controller) => `+${controller}`).join(' ')
  const into = GROUP.make | GROUP.into
  return [
    ...(handDown === ''
      ? []
      : [group(parent, 0, 0, [['cgroup.subtree_control', handDown]] as const)]),
    group(
      path,
      (nsdelegate ? into : GROUP.make) | (automatic ? GROUP.sweep : 0),
      ROLE.kill | ROLE.freeze | rolesOf(controllers),
      writesOfVersionTwo(limits, controllers),
    ),
    // Without nsdelegate the root inside could change the limits of the group that it sees as the
    // top one, where the host's ids are its own: so it sees one below.
    ...(nsdelegate ? [] : [group(join(path, INNER_GROUP), into, 0, [])]),
  ]
}

function group(path: string, flags: number, roles: number, writes: Group['writes']): Group {
  return { path, flags, roles, writes }
}

function rolesOf(controllers: ReadonlySet<Controller>): number {
  // cpu.stat is there without the controller, too
  const { memory, pids, io, cpu } = ROLE
  const roles = { memory, pids, io, cpu }
  return [...controllers].reduce((sum, name) => sum | roles[name], cpu)
}

/** What to write into a version 2 group: cgroups(7), Documentation/admin-guide/cgroup-v2.rst. */
export function writesOfVersionTwo(
  limits: Limits,
  controllers: ReadonlySet<Controller>,
): (readonly [string, string])[] {
  const writes: (readonly [string, string])[] = []
  const { memoryBytes, memorySwapBytes, cpus, pids, io } = limits
  if (memoryBytes !== undefined && controllers.has('memory')) {
    writes.push(['memory.max', String(memoryBytes)])
    // Without a word about swap none is allowed, and none need exist (swap accounting turned off).
    const swap = (memorySwapBytes ?? memoryBytes) - memoryBytes
    writes.push([
      memorySwapBytes === undefined ? '?memory.swap.max' : 'memory.swap.max',
      String(swap),
    ])
  }
  if (cpus !== undefined && controllers.has('cpu')) {
    writes.push(['cpu.max', `${quotaMicros(cpus)} ${CPU_PERIOD_MICROS}`])
  }
  if (pids !== undefined && controllers.has('pids')) writes.push(['pids.max', String(pids + 1)])
  if (controllers.has('io')) {
    for (const limit of io ?? []) writes.push(['io.max', ioMax(limit)])
  }
  return writes
}

function ioMax({
  device,
  readBytes,
  writeBytes,
  readOperations,
  writeOperations,
}: IoLimit): string {
  const pairs = { rbps: readBytes, wbps: writeBytes, riops: readOperations, wiops: writeOperations }
  const given = Object.entries(pairs).filter(([, value]) => value !== undefined)
  return [device, ...given.map(([key, value]) => `${key}=${value}`)].join(' ')
}

function quotaMicros(cpus: number): number {
  return Math.round(cpus * CPU_PERIOD_MICROS)
}

// Below the group with the limit is one more for the processes: root inside may have the host's ids
// and then could raise the limit of the group it sees (version 1 has no nsdelegate).
function versionOne(
  { parents, unified }: Extract<Place, { kind: 'cgroup1' }>,
  { limits, controllers, name, automatic }: GroupWish,
): Group[] {
  const outer = GROUP.make | (automatic ? GROUP.sweep : 0)
  const groups: Group[] = []
  const add = (hierarchy: string, roles: number, innerRoles: number, writes: Group['writes']) => {
    const parent = parents.get(hierarchy)
    if (parent === undefined) return
    const path = join(parent, name)
    // Two controllers in one hierarchy (cpu,cpuacct) are one group with both jobs.
    const index = groups.findIndex((one) => one.path === path)
    const [there, inner] = [groups[index], groups[index + 1]]
    if (index >= 0 && there !== undefined && inner !== undefined) {
      groups[index] = group(path, outer, there.roles | roles, [...there.writes, ...writes])
      groups[index + 1] = group(inner.path, inner.flags, inner.roles | innerRoles, [])
      return
    }
    const box = join(path, INNER_GROUP)
    groups.push(group(path, outer, ROLE.v1 | roles, writes))
    groups.push(group(box, GROUP.make | GROUP.attach, ROLE.v1 | innerRoles, []))
  }
  const { memoryBytes, memorySwapBytes, cpus, pids, io } = limits
  if (unified !== undefined) {
    const path = join(unified, name)
    groups.push(group(path, outer | GROUP.into, ROLE.kill | ROLE.freeze, []))
  } else {
    add('freezer', ROLE.freeze, 0, [])
  }
  const memory: Group['writes'] =
    memoryBytes === undefined || !controllers.has('memory')
      ? []
      : [
          ['memory.limit_in_bytes', String(memoryBytes)],
          [
            memorySwapBytes === undefined
              ? '?memory.memsw.limit_in_bytes'
              : 'memory.memsw.limit_in_bytes',
            String(memorySwapBytes ?? memoryBytes),
          ],
        ]
  add('memory', ROLE.memory, ROLE.oom, memory)
  add('cpuacct', ROLE.cpu, 0, [])
  if (cpus !== undefined && controllers.has('cpu')) {
    const period = ['cpu.cfs_period_us', String(CPU_PERIOD_MICROS)] as const
    add('cpu', 0, 0, [period, ['cpu.cfs_quota_us', String(quotaMicros(cpus))]])
  }
  const most =
    pids === undefined || !controllers.has('pids') ? [] : [['pids.max', String(pids + 1)] as const]
  add('pids', ROLE.pids, ROLE.denied, most)
  if (io !== undefined && controllers.has('io')) add('blkio', ROLE.io, 0, io.flatMap(throttles))
  return groups
}

function throttles({ device, readBytes, writeBytes, readOperations, writeOperations }: IoLimit) {
  const files = {
    'blkio.throttle.read_bps_device': readBytes,
    'blkio.throttle.write_bps_device': writeBytes,
    'blkio.throttle.read_iops_device': readOperations,
    'blkio.throttle.write_iops_device': writeOperations,
  }
  return Object.entries(files).flatMap(([file, value]) =>
    value === undefined ? [] : [[file, `${device} ${value}`] as const],
  )
}

const REMOVAL_PAUSES_MS = [0, 50, 250, 1000]

/** What a monitor that was killed could not remove any more; its processes need a moment to end. */
export function removeGroups(groups: readonly Group[], attempt = 0): void {
  const left = groups.filter(({ flags }) => (flags & GROUP.make) !== 0).reverse()
  const pause = REMOVAL_PAUSES_MS[attempt]
  if (left.length === 0 || pause === undefined) return
  setTimeout(() => {
    const busy = left.filter(({ path }) => !isRemoved(path))
    removeGroups(busy.reverse(), attempt + 1)
  }, pause).unref()
}

function isRemoved(path: string): boolean {
  try {
    rmdirSync(path)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' // node:fs throws nothing else
  }
}
