import { capabilityBits } from './defaults.ts'
import { encodePrivilege } from './encode-privilege.ts'
import type {
  IdMapping,
  IdMappingPlan,
  InnerAddress,
  LaunchSpec,
  Mount,
  ProcessSpec,
  TmpfsRoot,
} from './launch-spec.ts'
import { NAMESPACE_FLAGS } from './namespace-flags.ts'
import { encodeEndpoint } from './network/endpoint.ts'
import { uplinkArguments } from './network/uplink.ts'
import { encodeMessage, RECORD, type WireRecord } from './records.ts'
import { emulateRoot } from './seccomp/emulate-root.ts'
import type { WireAnswer } from './seccomp/syscall-handler.ts'

const ID_MAP_KINDS: Record<IdMappingPlan['kind'], number> = { identity: 0, subid: 1, single: 2 }

export const MOUNT_KINDS: Record<Mount['type'], number> = {
  bind: 0,
  tmpfs: 1,
  proc: 2,
  sysfs: 3,
  mqueue: 4,
  cgroup: 5,
  dev: 6,
  overlay: 7,
  file: 8,
  devpts: 9,
  symlink: 10,
}

const MODE_DEFAULT = 0xffffffff
const MOUNT_FLAGS = { readonly: 1, nosuid: 2, nodev: 4, noexec: 8, volatile: 16, topOnly: 32 }
const PROCESS_FLAGS = { noNewPrivileges: 1, detached: 2, rootReadonly: 4, overlayVolatile: 8 }

/** The container to be joined, for the helper: 0 for what is not known of it. */
export interface JoinIdentity {
  pid: number
  parent: number
  startTime: number
  /** RLIMIT_NPROC of the container's program, where that is what limits its processes. */
  nproc?: number
}

/** What of LaunchOptions the helper is told. */
export interface EncodeOptions {
  detached?: boolean
  fds?: Readonly<Record<number, number>>
  /** This process answers system calls. */
  answers?: { timeoutMs: number } | undefined
  /** As `encodeLimits` made them. */
  limits?: readonly WireRecord[]
}

/** The configuration message for a spec that `checkSpec` has accepted. */
export function encodeLaunch(
  spec: LaunchSpec,
  { detached = false, fds = {}, answers, limits = [] }: EncodeOptions,
  join?: JoinIdentity,
): Buffer {
  const { root, monitor, process } = spec
  const flags = spec.namespaces.reduce((sum, type) => sum | NAMESPACE_FLAGS[type], 0)
  return encodeMessage([
    { type: RECORD.NAMESPACES, payload: u32(flags) },
    ...(spec.idMapping === undefined ? [] : encodeIdMapping(spec.idMapping)),
    ...texts(RECORD.HOSTNAME, spec.hostname),
    ...texts(RECORD.ROOT, root?.path),
    ...(root?.tmpfs === undefined ? [] : [encodeRootTmpfs(root.tmpfs)]),
    ...texts(RECORD.OVERLAY_LOWER, ...(root?.overlay?.lowerDirs ?? [])),
    ...texts(RECORD.OVERLAY_UPPER, root?.overlay?.upperDir),
    ...texts(RECORD.OVERLAY_WORK, root?.overlay?.workDir),
    ...spec.mounts.map(encodeMount),
    ...texts(RECORD.MASKED, ...spec.maskedPaths),
    ...texts(RECORD.READONLY, ...spec.readonlyPaths),
    ...encodeProcess(process),
    {
      type: RECORD.PROCESS,
      payload: u32(
        process.uid,
        process.gid,
        process.umask,
        (process.noNewPrivileges ? PROCESS_FLAGS.noNewPrivileges : 0) |
          (detached ? PROCESS_FLAGS.detached : 0) |
          (root?.readonly === true ? PROCESS_FLAGS.rootReadonly : 0) |
          (root?.overlay?.volatile === true ? PROCESS_FLAGS.overlayVolatile : 0),
      ),
    },
    ...encodePrivilege(spec),
    ...texts(RECORD.LOG_PATH, monitor?.logPath),
    ...texts(RECORD.ATTACH_PATH, monitor?.attachPath),
    ...texts(RECORD.EXIT_PATH, monitor?.exitPath),
    ...texts(RECORD.REMOVE, ...(monitor?.removeOnExit ?? [])),
    ...limits,
    ...(needsChannel(spec) ? [{ type: RECORD.CHANNEL, payload: Buffer.alloc(0) }] : []),
    ...texts(RECORD.UPLINK, ...(spec.network?.uplink ? uplinkArguments(spec.network.uplink) : [])),
    ...(spec.network?.listen ?? []).map((address) => ({
      type: RECORD.LISTEN,
      payload: encodeEndpoint(address),
    })),
    ...Object.keys(fds).map((number) => ({ type: RECORD.EXTRA, payload: u32(Number(number)) })),
    ...encodeNotify(process, answers),
    ...(join === undefined ? [] : [encodeJoin(join)]),
  ])
}

/** Whether the monitor is to hand descriptors over to this process. */
export function needsChannel(spec: LaunchSpec): boolean {
  return spec.network !== undefined
}

/** A message that asks the monitor to send a signal to the contained process. */
export function encodeSignal(number: number): Buffer {
  return encodeMessage([{ type: RECORD.SIGNAL, payload: u32(number) }])
}

/** A message with the answer to a system call. */
export function encodeSyscallAnswer({ id, value, errno, proceed }: WireAnswer): Buffer {
  const payload = Buffer.alloc(24)
  payload.writeBigUInt64LE(id, 0)
  payload.writeBigInt64LE(value, 8)
  payload.writeInt32LE(errno, 16)
  payload.writeUInt32LE(proceed ? 1 : 0, 20)
  return encodeMessage([{ type: RECORD.SYSCALL_ANSWER, payload }])
}

/** A message with the terminal's new size. */
export function encodeResize(columns: number, rows: number): Buffer {
  return encodeMessage([{ type: RECORD.RESIZE, payload: size(columns, rows) }])
}

/** A message that asks for a socket made inside, which the monitor hands over as answer to `id`. */
export function encodeOpen(
  kind: 'listener' | 'connection',
  id: number,
  address: InnerAddress,
): Buffer {
  const type = kind === 'listener' ? RECORD.OPEN_LISTENER : RECORD.OPEN_CONNECTION
  return encodeMessage([{ type, payload: Buffer.concat([u32(id), encodeEndpoint(address)]) }])
}

/** A message that a connection that was asked for is wanted no longer. */
export function encodeGiveUp(id: number): Buffer {
  return encodeMessage([{ type: RECORD.GIVE_UP, payload: u32(id) }])
}

/** A message after which the container outlives this connection. */
export function encodeDetach(): Buffer {
  return encodeMessage([{ type: RECORD.DETACH, payload: Buffer.alloc(0) }])
}

function encodeJoin({ pid, parent, startTime }: JoinIdentity): WireRecord {
  const payload = Buffer.alloc(16)
  payload.writeUInt32LE(pid, 0)
  payload.writeUInt32LE(parent, 4)
  payload.writeBigUInt64LE(BigInt(startTime), 8)
  return { type: RECORD.JOIN, payload }
}

function encodeIdMapping(plan: IdMappingPlan): WireRecord[] {
  const range = (type: number) => (mapping: IdMapping) => ({
    type,
    payload: u32(mapping.containerID, mapping.hostID, mapping.size),
  })
  return [
    { type: RECORD.ID_MAP_KIND, payload: u32(ID_MAP_KINDS[plan.kind]) },
    ...plan.uidMappings.map(range(RECORD.UID_RANGE)),
    ...plan.gidMappings.map(range(RECORD.GID_RANGE)),
    ...texts(RECORD.NEWUIDMAP, plan.newuidmap),
    ...texts(RECORD.NEWGIDMAP, plan.newgidmap),
  ]
}

function encodeRootTmpfs({ sizeBytes, mode }: TmpfsRoot['tmpfs']): WireRecord {
  const payload = Buffer.concat([u64(sizeBytes ?? 0), u32(mode ?? 0o755, 0)])
  return { type: RECORD.ROOT_TMPFS, payload }
}

function encodeMount(mount: Mount): WireRecord {
  const texts = [sourceOf(mount), mount.destination]
  if (mount.type === 'overlay') texts.push(mount.upperDir, mount.workDir, ...mount.lowerDirs)
  return {
    type: RECORD.MOUNT,
    payload: Buffer.concat([
      u32(MOUNT_KINDS[mount.type], flagsOf(mount), modeOf(mount), 0),
      u64(sizeOf(mount)),
      Buffer.from(texts.map((text) => `${text}\0`).join('')),
      ...(mount.type === 'file' ? [Buffer.from(mount.content)] : []),
    ]),
  }
}

function sourceOf(mount: Mount): string {
  if (mount.type === 'bind') return mount.source
  return mount.type === 'symlink' ? mount.target : ''
}

function flagsOf(mount: Mount): number {
  if (mount.type === 'dev' || mount.type === 'symlink') return 0
  const { readonly = mount.type === 'file' } = mount
  return (
    (readonly ? MOUNT_FLAGS.readonly : 0) |
    (mount.nosuid ? MOUNT_FLAGS.nosuid : 0) |
    (mount.nodev ? MOUNT_FLAGS.nodev : 0) |
    (mount.noexec ? MOUNT_FLAGS.noexec : 0) |
    (mount.type === 'overlay' && mount.volatile ? MOUNT_FLAGS.volatile : 0) |
    (mount.type === 'bind' && mount.recursive === false ? MOUNT_FLAGS.topOnly : 0)
  )
}

function modeOf(mount: Mount): number {
  if (mount.type === 'file') return mount.mode ?? 0o644
  return mount.type === 'tmpfs' ? (mount.mode ?? MODE_DEFAULT) : MODE_DEFAULT
}

function sizeOf(mount: Mount): number {
  if (mount.type === 'tmpfs') return mount.sizeBytes ?? 0
  return mount.type === 'dev' ? (mount.shmSizeBytes ?? 0) : 0
}

const NOTIFY = { node: 1, emulateRoot: 2 }

/** Who answers what the filter leaves to user space; nothing when nobody does. */
function encodeNotify(program: ProcessSpec, answers: EncodeOptions['answers']): WireRecord[] {
  const flags =
    (answers === undefined ? 0 : NOTIFY.node) |
    (program.rootEmulation === true ? NOTIFY.emulateRoot : 0)
  if (flags === 0) return []
  return [{ type: RECORD.NOTIFY, payload: u32(flags, answers?.timeoutMs ?? 0) }]
}

function filterOf({ seccomp, rootEmulation, uid, gid }: ProcessSpec): Uint8Array | undefined {
  if (rootEmulation !== true) return seccomp
  const arch = process.arch === 'arm64' ? 'arm64' : 'x64'
  return emulateRoot(seccomp ?? ALLOW_ALL, arch, { uid, gid })
}

/** What a program without a filter has: BPF_RET | BPF_K, SECCOMP_RET_ALLOW. */
const ALLOW_ALL = Uint8Array.of(0x06, 0, 0, 0, 0, 0, 0xff, 0x7f)

function encodeProcess(program: ProcessSpec): WireRecord[] {
  const { terminal } = program
  const seccomp = filterOf(program)
  const capabilities = Buffer.alloc(8)
  capabilities.writeBigUInt64LE(capabilityBits(program.capabilities))
  return [
    ...texts(RECORD.ARGUMENT, ...program.args),
    ...texts(RECORD.ENVIRONMENT, ...program.env),
    ...texts(RECORD.CWD, program.cwd),
    { type: RECORD.GROUPS, payload: u32(...program.additionalGids) },
    ...(terminal === undefined
      ? []
      : [{ type: RECORD.TERMINAL, payload: size(terminal.columns, terminal.rows) }]),
    { type: RECORD.CAPABILITIES, payload: capabilities },
    ...(seccomp === undefined ? [] : [{ type: RECORD.SECCOMP, payload: Buffer.from(seccomp) }]),
  ]
}

function texts(type: number, ...values: (string | undefined)[]): WireRecord[] {
  return values
    .filter((value) => value !== undefined)
    .map((value) => ({ type, payload: Buffer.from(`${value}\0`) }))
}

function u32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  values.forEach((value, index) => {
    bytes.writeUInt32LE(value >>> 0, 4 * index)
  })
  return bytes
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

function size(columns: number, rows: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt16LE(columns, 0)
  bytes.writeUInt16LE(rows, 2)
  return bytes
}
