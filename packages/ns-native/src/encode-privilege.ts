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
import { NAMESPACE_FLAGS } from './namespace-flags.ts'
import { RECORD, type WireRecord } from './records.ts'
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
export function encodePrivilege(spec: LaunchSpec): WireRecord[] {
  const { process } = spec
  // the keys were checked
  const joins = Object.entries(spec.joinNamespaces ?? {}) as [NamespaceType, string][]
  const offsets = Object.entries(spec.timeOffsets ?? {}) as [keyof typeof CLOCKS, TimeOffset][]
  return [
    ...joins.map(([type, path]) => labelled(RECORD.JOIN_NAMESPACE, NAMESPACE_FLAGS[type], path)),
    ...offsets.map(([clock, { secs, nanosecs = 0 }]) => ({
      type: RECORD.TIME_OFFSET,
      payload: Buffer.concat([u32(CLOCKS[clock], nanosecs), u64(BigInt(secs))]),
    })),
    ...text(TEXT.domainname, spec.domainname),
    ...setting(SETTING.maxUserNamespaces, spec.maxUserNamespaces),
    ...encodeProgram(process),
    ...(process.landlock === undefined ? [] : encodeLandlock(process.landlock)),
  ]
}

function encodeProgram(program: ProcessSpec): WireRecord[] {
  const { ioPriority, ambientCapabilities = [] } = program
  const limit = (value: number | 'infinity') => (value === 'infinity' ? INFINITY : BigInt(value))
  return [
    ...(program.rlimits ?? []).map(({ type, soft, hard }) => ({
      type: RECORD.RLIMIT,
      payload: Buffer.concat([u32(RLIMITS[type], 0), u64(limit(soft), limit(hard))]),
    })),
    ...setting(SETTING.oomScoreAdj, program.oomScoreAdj),
    ...setting(SETTING.nice, program.nice),
    ...(ioPriority === undefined
      ? []
      : setting(
          SETTING.ioPriority,
          (IO_CLASSES[ioPriority.class] << IO_CLASS_SHIFT) | ioPriority.priority,
        )),
    ...(program.affinity ?? []).flatMap((cpu) => setting(SETTING.cpu, cpu)),
    ...(ambientCapabilities.length === 0
      ? []
      : setting(SETTING.ambient, capabilityBits(ambientCapabilities))),
    ...(program.keyring === false ? setting(SETTING.callersKeyring, 0) : []),
    ...text(TEXT.apparmor, program.apparmorProfile),
    ...text(TEXT.selinux, program.selinuxLabel),
  ]
}

function encodeLandlock({ fs, net, scope, degraded = [] }: LandlockSpec): WireRecord[] {
  const bind = LANDLOCK_NET_RIGHTS.bind_tcp.bit
  const connect = LANDLOCK_NET_RIGHTS.connect_tcp.bit
  const ports = (bit: number, list: readonly number[] = []) =>
    list.map((port) => rule(LANDLOCK.port, 0, u64(1n << BigInt(bit), BigInt(port))))
  const among = (table: Readonly<Record<string, { bit: number }>>) =>
    landlockBits(
      table,
      degraded.filter((name) => Object.hasOwn(table, name)),
    )
  const handled = u64(
    fs === undefined ? 0n : landlockBits(LANDLOCK_FS_RIGHTS, Object.keys(LANDLOCK_FS_RIGHTS)),
    (net?.bindTcp === undefined ? 0n : 1n << BigInt(bind)) |
      (net?.connectTcp === undefined ? 0n : 1n << BigInt(connect)),
    landlockBits(LANDLOCK_SCOPES, scope ?? []),
  )
  const dispensable = u64(
    among(LANDLOCK_FS_RIGHTS),
    among(LANDLOCK_NET_RIGHTS),
    among(LANDLOCK_SCOPES),
  )
  return [
    rule(LANDLOCK.handled, 0, handled, dispensable),
    ...(fs ?? []).map(({ path, access, optional }) =>
      rule(
        LANDLOCK.path,
        optional === true ? 1 : 0,
        u64(landlockBits(LANDLOCK_FS_RIGHTS, expandAccess(access)), 0n),
        Buffer.from(`${path}\0`),
      ),
    ),
    ...ports(bind, net?.bindTcp),
    ...ports(connect, net?.connectTcp),
  ]
}

function rule(kind: number, flags: number, ...parts: Buffer[]): WireRecord {
  return { type: RECORD.LANDLOCK, payload: Buffer.concat([u32(kind, flags), ...parts]) }
}

function setting(key: number, value: number | bigint | undefined): WireRecord[] {
  if (value === undefined) return []
  return [{ type: RECORD.SETTING, payload: Buffer.concat([u32(key, 0), u64(BigInt(value))]) }]
}

function text(key: number, value: string | undefined): WireRecord[] {
  return value === undefined ? [] : [labelled(RECORD.TEXT, key, value)]
}

function labelled(type: number, key: number, value: string): WireRecord {
  return { type, payload: Buffer.concat([u32(key), Buffer.from(`${value}\0`)]) }
}

function u32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  values.forEach((value, index) => {
    bytes.writeUInt32LE(value >>> 0, 4 * index)
  })
  return bytes
}

function u64(...values: bigint[]): Buffer {
  const bytes = Buffer.alloc(8 * values.length)
  values.forEach((value, index) => {
    bytes.writeBigUInt64LE(BigInt.asUintN(64, value), 8 * index)
  })
  return bytes
}
