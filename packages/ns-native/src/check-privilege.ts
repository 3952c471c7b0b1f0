import { check, checkInteger, checkPath, checkText, each, show } from './check-value.ts'
import { CAPABILITIES } from './defaults.ts'
import {
  LANDLOCK_ACCESS_GROUPS,
  LANDLOCK_FS_RIGHTS,
  LANDLOCK_NET_RIGHTS,
  LANDLOCK_SCOPES,
  type LandlockSpec,
} from './landlock-rights.ts'
import type { LaunchSpec, ProcessSpec, Rlimit, TimeOffset } from './launch-spec.ts'
import { NAMESPACE_FLAGS } from './namespace-flags.ts'
import { RLIMITS } from './rlimit-types.ts'

const DOMAINNAME_MAX_BYTES = 64
const NANOSECONDS = 1_000_000_000
const PORT_MAX = 65535
const CPU_MAX = 8191
const LABEL_MAX_BYTES = 4000
const I32_MAX = 0x7fffffff

/** The part of {@link checkSpec} about joined namespaces, clocks, limits, labels and Landlock. */
export function checkPrivilege(spec: LaunchSpec, created: ReadonlySet<string>): void {
  if (spec.joinNamespaces !== undefined) checkJoins(spec.joinNamespaces, created)
  checkTime(spec.timeOffsets, created)
  if (spec.domainname !== undefined) {
    checkText(spec.domainname, '/domainname')
    const bytes = Buffer.byteLength(spec.domainname)
    check(bytes >= 1 && bytes <= DOMAINNAME_MAX_BYTES, '/domainname', 'must have 1 to 64 bytes')
    check(created.has('uts'), '/domainname', 'needs the uts namespace')
  }
  if (spec.maxUserNamespaces !== undefined) {
    checkInteger(spec.maxUserNamespaces, '/maxUserNamespaces', I32_MAX)
    check(created.has('user'), '/maxUserNamespaces', 'needs the user namespace')
  }
  checkProgram(spec.process)
}

function checkJoins(joins: Readonly<Record<string, string>>, created: ReadonlySet<string>): void {
  for (const [type, path] of Object.entries(joins)) {
    const at = `/joinNamespaces/${type}`
    check(Object.hasOwn(NAMESPACE_FLAGS, type), at, `unknown namespace type ${show(type)}`)
    check(!created.has(type), at, 'is to be created, too')
    checkPath(path, at)
  }
}

function checkTime(offsets: LaunchSpec['timeOffsets'], created: ReadonlySet<string>): void {
  if (offsets === undefined) return
  check(created.has('time'), '/timeOffsets', 'needs the time namespace')
  for (const [clock, offset] of Object.entries(offsets) as [string, TimeOffset][]) {
    const at = `/timeOffsets/${clock}`
    check(clock === 'monotonic' || clock === 'boottime', at, 'is no clock with an offset')
    checkInteger(offset.secs, `${at}/secs`, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER)
    checkInteger(offset.nanosecs ?? 0, `${at}/nanosecs`, NANOSECONDS - 1)
  }
}

function checkProgram(program: ProcessSpec): void {
  each(program.ambientCapabilities ?? [], '/process/ambientCapabilities', (name, at) => {
    check(Object.hasOwn(CAPABILITIES, name), at, () => `unknown capability ${show(name)}`)
    check(program.capabilities.includes(name), at, 'is not among the capabilities')
  })
  if (program.rlimits !== undefined) checkRlimits(program.rlimits)
  const { oomScoreAdj, nice, ioPriority, affinity } = program
  if (oomScoreAdj !== undefined) checkInteger(oomScoreAdj, '/process/oomScoreAdj', 1000, -1000)
  if (nice !== undefined) checkInteger(nice, '/process/nice', 19, -20)
  if (ioPriority !== undefined) {
    const classes = ['IOPRIO_CLASS_RT', 'IOPRIO_CLASS_BE', 'IOPRIO_CLASS_IDLE']
    const at = '/process/ioPriority'
    check(classes.includes(ioPriority.class), `${at}/class`, `is ${show(ioPriority.class)}`)
    checkInteger(ioPriority.priority, `${at}/priority`, 7)
  }
  if (affinity !== undefined) {
    check(affinity.length > 0, '/process/affinity', 'names no processor')
    each(affinity, '/process/affinity', (cpu, at) => checkInteger(cpu, at, CPU_MAX))
  }
  for (const name of ['apparmorProfile', 'selinuxLabel'] as const) {
    const label = program[name]
    if (label === undefined) continue
    const at = `/process/${name}`
    checkText(label, at)
    const fits = label !== '' && Buffer.byteLength(label) <= LABEL_MAX_BYTES
    check(fits, at, `must have 1 to ${LABEL_MAX_BYTES} bytes`)
  }
  if (program.landlock === undefined) return
  check(program.noNewPrivileges, '/process/landlock', 'needs noNewPrivileges')
  checkLandlock(program.landlock, '/process/landlock')
}

function checkRlimits(rlimits: readonly Rlimit[]): void {
  each(rlimits, '/process/rlimits', checkRlimit)
  const types = new Set(rlimits.map(({ type }) => type))
  check(types.size === rlimits.length, '/process/rlimits', 'a limit is named twice')
}

function checkRlimit({ type, soft, hard }: Rlimit, pointer: string): void {
  check(Object.hasOwn(RLIMITS, type), `${pointer}/type`, `unknown resource ${show(type)}`)
  if (soft !== 'infinity') checkInteger(soft, `${pointer}/soft`)
  if (hard !== 'infinity') checkInteger(hard, `${pointer}/hard`)
  const within = hard === 'infinity' || (soft !== 'infinity' && soft <= hard)
  check(within, `${pointer}/soft`, 'is more than the hard limit')
}

function checkLandlock(landlock: LandlockSpec, pointer: string): void {
  const { fs, net, scope, degraded } = landlock
  const rights = { ...LANDLOCK_FS_RIGHTS, ...LANDLOCK_NET_RIGHTS, ...LANDLOCK_SCOPES }
  each(fs ?? [], `${pointer}/fs`, ({ path, access }, at) => {
    checkPath(path, `${at}/path`)
    check(access.length > 0, `${at}/access`, 'names no access')
    each(access, `${at}/access`, (name, where) => {
      const known =
        Object.hasOwn(LANDLOCK_ACCESS_GROUPS, name) || Object.hasOwn(LANDLOCK_FS_RIGHTS, name)
      check(known, where, `unknown access ${show(name)}`)
    })
  })
  for (const list of ['bindTcp', 'connectTcp'] as const) {
    each(net?.[list] ?? [], `${pointer}/net/${list}`, (port, at) =>
      checkInteger(port, at, PORT_MAX),
    )
  }
  each(scope ?? [], `${pointer}/scope`, (name, at) =>
    check(Object.hasOwn(LANDLOCK_SCOPES, name), at, `unknown scope ${show(name)}`),
  )
  each(degraded ?? [], `${pointer}/degraded`, (name, at) =>
    check(Object.hasOwn(rights, name), at, `unknown right ${show(name)}`),
  )
}
