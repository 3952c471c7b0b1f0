import { capabilityBits } from './defaults.ts'
import { writePrivilege } from './encode-privilege.ts'
import type {
  IdMapping,
  IdMappingPlan,
  InnerAddress,
  LaunchSpec,
  Mount,
  NetworkSpec,
  ProcessSpec,
  RootSpec,
} from './launch-spec.ts'
import { MessageWriter } from './message-writer.ts'
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
  const { root, monitor, process, network } = spec
  const out = new MessageWriter()
  let namespaces = 0
  for (const type of spec.namespaces) namespaces |= NAMESPACE_FLAGS[type]
  out.begin(RECORD.NAMESPACES).u32(namespaces)
  if (spec.idMapping !== undefined) writeIdMapping(out, spec.idMapping)
  writeText(out, RECORD.HOSTNAME, spec.hostname)
  if (root !== undefined) writeRoot(out, root)
  for (const mount of spec.mounts) writeMount(out, mount)
  writeTexts(out, RECORD.MASKED, spec.maskedPaths)
  writeTexts(out, RECORD.READONLY, spec.readonlyPaths)
  writeProcess(out, process)
  out
    .begin(RECORD.PROCESS)
    .u32(process.uid)
    .u32(process.gid)
    .u32(process.umask)
    .u32(
      (process.noNewPrivileges ? PROCESS_FLAGS.noNewPrivileges : 0) |
        (detached ? PROCESS_FLAGS.detached : 0) |
        (root?.readonly === true ? PROCESS_FLAGS.rootReadonly : 0) |
        (root?.overlay?.volatile === true ? PROCESS_FLAGS.overlayVolatile : 0),
    )
  writePrivilege(out, spec)
  if (monitor !== undefined) writeMonitor(out, monitor)
  for (const { type, payload } of limits) out.begin(type).bytes(payload)
  if (needsChannel(spec)) out.begin(RECORD.CHANNEL)
  if (network !== undefined) writeNetwork(out, network)
  for (const number of Object.keys(fds)) out.begin(RECORD.EXTRA).u32(Number(number))
  writeNotify(out, process, answers)
  if (join !== undefined) {
    out.begin(RECORD.JOIN).u32(join.pid).u32(join.parent).u64(join.startTime)
  }
  return out.finish()
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

function writeIdMapping(out: MessageWriter, plan: IdMappingPlan): void {
  out.begin(RECORD.ID_MAP_KIND).u32(ID_MAP_KINDS[plan.kind])
  writeRanges(out, RECORD.UID_RANGE, plan.uidMappings)
  writeRanges(out, RECORD.GID_RANGE, plan.gidMappings)
  writeText(out, RECORD.NEWUIDMAP, plan.newuidmap)
  writeText(out, RECORD.NEWGIDMAP, plan.newgidmap)
}

function writeRanges(out: MessageWriter, type: number, ranges: readonly IdMapping[]): void {
  for (const { containerID, hostID, size } of ranges) {
    out.begin(type).u32(containerID).u32(hostID).u32(size)
  }
}

function writeRoot(out: MessageWriter, { path, tmpfs, overlay }: RootSpec): void {
  writeText(out, RECORD.ROOT, path)
  if (tmpfs !== undefined) {
    const { sizeBytes = 0, mode = 0o755 } = tmpfs
    out.begin(RECORD.ROOT_TMPFS).u64(sizeBytes).u32(mode).u32(0)
  }
  if (overlay === undefined) return
  writeTexts(out, RECORD.OVERLAY_LOWER, overlay.lowerDirs)
  writeText(out, RECORD.OVERLAY_UPPER, overlay.upperDir)
  writeText(out, RECORD.OVERLAY_WORK, overlay.workDir)
}

function writeMount(out: MessageWriter, mount: Mount): void {
  out
    .begin(RECORD.MOUNT)
    .u32(MOUNT_KINDS[mount.type])
    .u32(flagsOf(mount))
    .u32(modeOf(mount))
    .u32(0)
    .u64(sizeOf(mount))
    .text(sourceOf(mount))
    .text(mount.destination)
  if (mount.type === 'overlay') {
    out.text(mount.upperDir).text(mount.workDir)
    for (const lower of mount.lowerDirs) out.text(lower)
  }
  if (mount.type === 'file') out.bytes(Buffer.from(mount.content))
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
function writeNotify(
  out: MessageWriter,
  program: ProcessSpec,
  answers: EncodeOptions['answers'],
): void {
  const flags =
    (answers === undefined ? 0 : NOTIFY.node) |
    (program.rootEmulation === true ? NOTIFY.emulateRoot : 0)
  if (flags !== 0)
    out
      .begin(RECORD.NOTIFY)
      .u32(flags)
      .u32(answers?.timeoutMs ?? 0)
}

function filterOf({ seccomp, rootEmulation, uid, gid }: ProcessSpec): Uint8Array | undefined {
  if (rootEmulation !== true) return seccomp
  const arch = process.arch === 'arm64' ? 'arm64' : 'x64'
  return emulateRoot(seccomp ?? ALLOW_ALL, arch, { uid, gid })
}

/** What a program without a filter has: BPF_RET | BPF_K, SECCOMP_RET_ALLOW. */
const ALLOW_ALL = Uint8Array.of(0x06, 0, 0, 0, 0, 0, 0xff, 0x7f)

function writeProcess(out: MessageWriter, program: ProcessSpec): void {
  const { terminal } = program
  const seccomp = filterOf(program)
  writeTexts(out, RECORD.ARGUMENT, program.args)
  writeTexts(out, RECORD.ENVIRONMENT, program.env)
  writeText(out, RECORD.CWD, program.cwd)
  out.begin(RECORD.GROUPS)
  for (const gid of program.additionalGids) out.u32(gid)
  if (terminal !== undefined) {
    out.begin(RECORD.TERMINAL).bytes(size(terminal.columns, terminal.rows))
  }
  out.begin(RECORD.CAPABILITIES).u64(capabilityBits(program.capabilities))
  if (seccomp !== undefined) out.begin(RECORD.SECCOMP).bytes(seccomp)
}

function writeMonitor(out: MessageWriter, monitor: NonNullable<LaunchSpec['monitor']>): void {
  writeText(out, RECORD.LOG_PATH, monitor.logPath)
  writeText(out, RECORD.ATTACH_PATH, monitor.attachPath)
  writeText(out, RECORD.EXIT_PATH, monitor.exitPath)
  writeTexts(out, RECORD.REMOVE, monitor.removeOnExit ?? [])
}

function writeNetwork(out: MessageWriter, { uplink, listen = [] }: NetworkSpec): void {
  if (uplink !== undefined) writeTexts(out, RECORD.UPLINK, uplinkArguments(uplink))
  for (const address of listen) out.begin(RECORD.LISTEN).bytes(encodeEndpoint(address))
}

function writeText(out: MessageWriter, type: number, value: string | undefined): void {
  if (value !== undefined) out.begin(type).text(value)
}

function writeTexts(out: MessageWriter, type: number, values: readonly string[]): void {
  for (const value of values) out.begin(type).text(value)
}

function u32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  values.forEach((value, index) => {
    bytes.writeUInt32LE(value >>> 0, 4 * index)
  })
  return bytes
}

function size(columns: number, rows: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt16LE(columns, 0)
  bytes.writeUInt16LE(rows, 2)
  return bytes
}
