import { capabilityBits } from './defaults.ts'
import {
  expandAccess,
  LANDLOCK_FS_RIGHTS,
  LANDLOCK_NET_RIGHTS,
  LANDLOCK_SCOPES,
  type LandlockSpec,
  landlockBits,
} from './landlock-rights.ts'
import type { LaunchSpec, NamespaceType, ProcessSpec, TimeOffset } from './launch-spec.ts'
import type { MessageWriter } from './message-writer.ts'
import { NAMESPACE_FLAGS } from './namespace-flags.ts'
import { RECORD } from './records.ts'
import { RLIMITS } from './rlimit-types.ts'

const CLOCKS = { monotonic: 1, boottime: 7 } as const
const IO_CLASSES = { IOPRIO_CLASS_RT: 1, IOPRIO_CLASS_BE: 2, IOPRIO_CLASS_IDLE: 3 } as const
const IO_CLASS_SHIFT = 13
const INFINITY = 0xffffffffffffffffn
/** CW_SETTING_* of native/init/records.h. */
const SETTING = {
  oomScoreAdj: 1,
  nice: 2,
  ioPriority: 3,
  cpu: 4,
  maxUserNamespaces: 5,
  ambient: 6,
  callersKeyring: 7,
} as const
const TEXT = { domainname: 1, apparmor: 2, selinux: 3 } as const
const LANDLOCK = { handled: 0, path: 1, port: 2 } as const

/** The records of what `checkPrivilege` has accepted. */
export function writePrivilege(out: MessageWriter, spec: LaunchSpec): void {
  const { process, joinNamespaces = {}, timeOffsets = {} } = spec
  // the keys were checked
  for (const [type, path] of Object.entries(joinNamespaces) as [NamespaceType, string][]) {
    out.begin(RECORD.JOIN_NAMESPACE).u32(NAMESPACE_FLAGS[type]).text(path)
  }
  const offsets = Object.entries(timeOffsets) as [keyof typeof CLOCKS, TimeOffset][]
  for (const [clock, { secs, nanosecs = 0 }] of offsets) {
    out.begin(RECORD.TIME_OFFSET).u32(CLOCKS[clock]).u32(nanosecs).u64(BigInt(secs))
  }
  writeLabel(out, TEXT.domainname, spec.domainname)
  writeSetting(out, SETTING.maxUserNamespaces, spec.maxUserNamespaces)
  writeProgram(out, process)
  if (process.landlock !== undefined) writeLandlock(out, process.landlock)
}

function writeProgram(out: MessageWriter, program: ProcessSpec): void {
  const { rlimits = [], ioPriority, affinity = [], ambientCapabilities = [] } = program
  const limit = (value: number | 'infinity') => (value === 'infinity' ? INFINITY : BigInt(value))
  for (const { type, soft, hard } of rlimits) {
    out.begin(RECORD.RLIMIT).u32(RLIMITS[type]).u32(0).u64(limit(soft)).u64(limit(hard))
  }
  writeSetting(out, SETTING.oomScoreAdj, program.oomScoreAdj)
  writeSetting(out, SETTING.nice, program.nice)
  if (ioPriority !== undefined) {
    const level = (IO_CLASSES[ioPriority.class] << IO_CLASS_SHIFT) | ioPriority.priority
    writeSetting(out, SETTING.ioPriority, level)
  }
  for (const cpu of affinity) writeSetting(out, SETTING.cpu, cpu)
  if (ambientCapabilities.length > 0) {
    writeSetting(out, SETTING.ambient, capabilityBits(ambientCapabilities))
  }
  if (program.keyring === false) writeSetting(out, SETTING.callersKeyring, 0)
  writeLabel(out, TEXT.apparmor, program.apparmorProfile)
  writeLabel(out, TEXT.selinux, program.selinuxLabel)
}

function writeLandlock(out: MessageWriter, { fs, net, scope, degraded = [] }: LandlockSpec): void {
  const bind = 1n << BigInt(LANDLOCK_NET_RIGHTS.bind_tcp.bit)
  const connect = 1n << BigInt(LANDLOCK_NET_RIGHTS.connect_tcp.bit)
  const among = (table: Readonly<Record<string, { bit: number }>>) =>
    landlockBits(
      table,
      degraded.filter((name) => Object.hasOwn(table, name)),
    )
  out
    .begin(RECORD.LANDLOCK)
    .u32(LANDLOCK.handled)
    .u32(0)
    // handled
    .u64(fs === undefined ? 0n : landlockBits(LANDLOCK_FS_RIGHTS, Object.keys(LANDLOCK_FS_RIGHTS)))
    .u64((net?.bindTcp === undefined ? 0n : bind) | (net?.connectTcp === undefined ? 0n : connect))
    .u64(landlockBits(LANDLOCK_SCOPES, scope ?? []))
    // of these dispensable
    .u64(among(LANDLOCK_FS_RIGHTS))
    .u64(among(LANDLOCK_NET_RIGHTS))
    .u64(among(LANDLOCK_SCOPES))
  for (const { path, access, optional } of fs ?? []) {
    out
      .begin(RECORD.LANDLOCK)
      .u32(LANDLOCK.path)
      .u32(optional === true ? 1 : 0)
      .u64(landlockBits(LANDLOCK_FS_RIGHTS, expandAccess(access)))
      .u64(0n)
      .text(path)
  }
  writePorts(out, bind, net?.bindTcp)
  writePorts(out, connect, net?.connectTcp)
}

function writePorts(out: MessageWriter, right: bigint, ports: readonly number[] = []): void {
  for (const port of ports) {
    out.begin(RECORD.LANDLOCK).u32(LANDLOCK.port).u32(0).u64(right).u64(BigInt(port))
  }
}

function writeSetting(out: MessageWriter, key: number, value: number | bigint | undefined): void {
  if (value !== undefined) out.begin(RECORD.SETTING).u32(key).u32(0).u64(BigInt(value))
}

function writeLabel(out: MessageWriter, key: number, value: string | undefined): void {
  if (value !== undefined) out.begin(RECORD.TEXT).u32(key).text(value)
}
