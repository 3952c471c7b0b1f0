import { constants } from 'node:os'
import { NamespaceError } from './errors.ts'
import type { ExitReason } from './limits.ts'
import type { SyscallEvent } from './seccomp/syscall-handler.ts'
import { decodeUsage, type Usage } from './usage.ts'

// The protocol between this package and `cromwell-init`; native/init/records.h explains it and is
// the same list, a test holds the two together.

export const MAGIC = 0x314d5743
export const MESSAGE_MAX_BYTES = 16 * 1024 * 1024
const MUST_UNDERSTAND = 1
const HEAD_BYTES = 8

/** Record types by name. */
export const RECORD = {
  NAMESPACES: 1,
  ID_MAP_KIND: 2,
  UID_RANGE: 3,
  GID_RANGE: 4,
  NEWUIDMAP: 5,
  NEWGIDMAP: 6,
  HOSTNAME: 7,
  ROOT: 8,
  OVERLAY_LOWER: 9,
  OVERLAY_UPPER: 10,
  OVERLAY_WORK: 11,
  MOUNT: 12,
  MASKED: 13,
  READONLY: 14,
  ARGUMENT: 15,
  ENVIRONMENT: 16,
  CWD: 17,
  PROCESS: 18,
  GROUPS: 19,
  TERMINAL: 20,
  CAPABILITIES: 21,
  SECCOMP: 22,
  LOG_PATH: 23,
  EXIT_PATH: 24,
  REMOVE: 25,
  JOIN_NAMESPACE: 26,
  TIME_OFFSET: 27,
  RLIMIT: 28,
  SETTING: 29,
  TEXT: 30,
  LANDLOCK: 31,
  ROOT_TMPFS: 32,
  CGROUP: 38,
  LIMITS: 39,
  CHANNEL: 44,
  LISTEN: 45,
  UPLINK: 46,
  NOTIFY: 50,
  JOIN: 55,
  ATTACH_PATH: 56,
  EXTRA: 57,
  SIGNAL: 64,
  RESIZE: 65,
  DETACH: 66,
  OPEN_LISTENER: 72,
  OPEN_CONNECTION: 73,
  GIVE_UP: 74,
  SYSCALL_ANSWER: 77,
  STARTED: 96,
  FAULT: 97,
  EXITED: 98,
  SYSCALL: 109,
  ATTACHED: 114,
  ASK_USAGE: 67,
  FREEZE: 68,
  USAGE: 99,
  LIMIT: 100,
  FROZEN: 101,
  MIGRATED: 102,
  DESCRIPTOR: 104,
} as const

/** One record, not yet interpreted. */
export interface WireRecord {
  type: number
  payload: Buffer
}

/** Put records into one message. */
export function encodeMessage(records: readonly WireRecord[]): Buffer {
  const sizes = records.map(({ payload }) => HEAD_BYTES + padded(payload.length))
  const length = sizes.reduce((sum, size) => sum + size, 0)
  const message = Buffer.alloc(HEAD_BYTES + length)
  message.writeUInt32LE(MAGIC, 0)
  message.writeUInt32LE(length, 4)
  let offset = HEAD_BYTES
  for (const { type, payload } of records) {
    message.writeUInt16LE(type, offset)
    message.writeUInt16LE(MUST_UNDERSTAND, offset + 2)
    message.writeUInt32LE(payload.length, offset + 4)
    payload.copy(message, offset + HEAD_BYTES)
    offset += HEAD_BYTES + padded(payload.length)
  }
  return message
}

/** Takes messages out of bytes that arrive in arbitrary pieces. Strict: throws on anything odd. */
export class MessageReader {
  #pending: Buffer | undefined

  /** The records of all messages that `chunk` completes, which lie in it: good as long as it is. */
  push(chunk: Buffer): WireRecord[] {
    const bytes = this.#pending === undefined ? chunk : Buffer.concat([this.#pending, chunk])
    const records: WireRecord[] = []
    let offset = 0
    while (bytes.length - offset >= HEAD_BYTES) {
      const length = bytes.readUInt32LE(offset + 4)
      check(bytes.readUInt32LE(offset) === MAGIC, 'bad magic')
      check(length > 0 && length % 4 === 0 && length <= MESSAGE_MAX_BYTES, 'bad message length')
      const end = offset + HEAD_BYTES + length
      if (bytes.length < end) break
      splitRecords(bytes.subarray(offset + HEAD_BYTES, end), records)
      offset = end
    }
    this.#pending = offset === bytes.length ? undefined : Buffer.from(bytes.subarray(offset))
    return records
  }
}

const KNOWN_TYPES = new Set<number>(Object.values(RECORD))

function splitRecords(bytes: Buffer, records: WireRecord[]): void {
  let offset = 0
  while (offset < bytes.length) {
    check(bytes.length - offset >= HEAD_BYTES, 'truncated record')
    const type = bytes.readUInt16LE(offset)
    const flags = bytes.readUInt16LE(offset + 2)
    const length = bytes.readUInt32LE(offset + 4)
    check((flags & ~MUST_UNDERSTAND) === 0, 'unknown record flags')
    offset += HEAD_BYTES
    check(padded(length) <= bytes.length - offset, 'record longer than its message')
    for (let at = offset + length; at < offset + padded(length); at++) {
      check(bytes[at] === 0, 'padding is not zero')
    }
    const known = KNOWN_TYPES.has(type)
    if (!known && (flags & MUST_UNDERSTAND) !== 0) throw malformed(`unknown record type ${type}`)
    if (known) records.push({ type, payload: bytes.subarray(offset, offset + length) })
    offset += padded(length)
  }
}

/** What a descriptor that the monitor hands over is: CW_DESCRIPTOR_* of records.h. */
export const DESCRIPTOR_KINDS = { listener: 0, answer: 1 } as const

/** What the monitor tells. */
export type MonitorEvent =
  | { type: 'started'; pid: number }
  | {
      type: 'fault'
      step: number
      index: number | undefined
      errno: number
      call: string
      detail: string
    }
  | {
      type: 'exited'
      code: number
      signal: number
      userMicros: number
      systemMicros: number
      maxRssBytes: number
    }
  /** The container that this connection leads to, told to whoever connects. */
  | { type: 'attached'; pid: number; monitorPid: number; startTime: number }
  | SyscallEvent
  | DescriptorEvent
  /** The answer to a question, or with token 0 the last word, with the reason for the end. */
  | { type: 'usage'; token: number; reason: ExitReason | undefined; usage: Usage }
  | { type: 'limit'; reason: ExitReason }
  | { type: 'frozen'; frozen: boolean; errno: number }
  | { type: 'migrated' }

/** A descriptor was handed over, or could not be. */
export interface DescriptorEvent {
  type: 'descriptor'
  /** One of {@link DESCRIPTOR_KINDS}. */
  kind: number
  /** Which of its kind. */
  id: number
  /** Of a socket that listens. */
  port: number
  /** 0, and then there is an `fd`; it belongs to whoever gets this event. */
  errno: number
  fd: number | undefined
}

const NO_INDEX = 0xffffffff

/**
 * Interpret a record of the monitor; throws when it is none. `receiveFd` takes the next descriptor
 * off the channel: the records name them in the order in which they were sent.
 */
export function decodeEvent(
  { type, payload }: WireRecord,
  receiveFd: () => number = () => -constants.errno.EBADF,
): MonitorEvent {
  switch (type) {
    case RECORD.STARTED:
      check(payload.length === 4, 'bad started record')
      return { type: 'started', pid: payload.readUInt32LE(0) }
    case RECORD.FAULT:
      return decodeFault(payload)
    case RECORD.EXITED:
      check(payload.length === 32, 'bad exited record')
      return {
        type: 'exited',
        code: payload.readInt32LE(0),
        signal: payload.readInt32LE(4),
        userMicros: Number(payload.readBigUInt64LE(8)),
        systemMicros: Number(payload.readBigUInt64LE(16)),
        maxRssBytes: Number(payload.readBigUInt64LE(24)),
      }
    case RECORD.ATTACHED:
      check(payload.length === 16, 'bad attached record')
      return {
        type: 'attached',
        pid: payload.readUInt32LE(0),
        monitorPid: payload.readUInt32LE(4),
        startTime: Number(payload.readBigUInt64LE(8)),
      }
    case RECORD.SYSCALL:
      check(payload.length === 72, 'bad syscall record')
      return decodeSyscall(payload)
    case RECORD.DESCRIPTOR:
      check(payload.length === 16, 'bad descriptor record')
      return decodeDescriptor(payload, receiveFd)
    case RECORD.USAGE:
      return decodeUsageRecord(payload)
    case RECORD.LIMIT: {
      check(payload.length === 4, 'bad limit record')
      const reason = REASONS[payload.readUInt32LE(0)]
      check(reason !== undefined, 'unknown limit')
      return { type: 'limit', reason }
    }
    case RECORD.FROZEN:
      check(payload.length === 8, 'bad frozen record')
      return {
        type: 'frozen',
        frozen: payload.readUInt32LE(0) === 1,
        errno: payload.readUInt32LE(4),
      }
    case RECORD.MIGRATED:
      return { type: 'migrated' }
    default:
      throw malformed(`unexpected record type ${type}`)
  }
}

function decodeSyscall(payload: Buffer): SyscallEvent {
  return {
    type: 'syscall',
    id: payload.readBigUInt64LE(0),
    pid: payload.readUInt32LE(8),
    arch: payload.readUInt32LE(12),
    number: payload.readInt32LE(16),
    args: Array.from({ length: 6 }, (_, index) => payload.readBigUInt64LE(24 + 8 * index)),
  }
}

// CW_REASON_* of records.h
const REASONS: readonly (ExitReason | undefined)[] = [
  undefined,
  'exit',
  'signal',
  'wall',
  'cpu',
  'memory',
  'pids',
  'output',
  'seccomp',
  'parent-gone',
]

function decodeUsageRecord(payload: Buffer): MonitorEvent {
  check(payload.length >= 16, 'bad usage record')
  const token = payload.readUInt32LE(0)
  const usage = decodeUsage(payload.subarray(16), Number(payload.readBigUInt64LE(8)), token === 0)
  check(usage !== undefined, 'bad usage record')
  const reason = REASONS[payload.readUInt32LE(4)]
  return { type: 'usage', token, reason, usage }
}

function decodeDescriptor(payload: Buffer, receiveFd: () => number): DescriptorEvent {
  const failed = payload.readUInt32LE(12)
  const fd = failed === 0 ? receiveFd() : -failed
  return {
    type: 'descriptor',
    kind: payload.readUInt32LE(0),
    id: payload.readUInt32LE(4),
    port: payload.readUInt32LE(8),
    errno: fd < 0 ? -fd : 0,
    fd: fd < 0 ? undefined : fd,
  }
}

function decodeFault(payload: Buffer): MonitorEvent {
  check(payload.length >= 14 && payload[payload.length - 1] === 0, 'bad fault record')
  const texts = payload.toString('utf8', 12, payload.length - 1).split('\0')
  check(texts.length === 2, 'bad fault record')
  const [call = '', detail = ''] = texts
  const index = payload.readUInt32LE(4)
  return {
    type: 'fault',
    step: payload.readUInt32LE(0),
    index: index === NO_INDEX ? undefined : index,
    errno: payload.readUInt32LE(8),
    call,
    detail,
  }
}

function padded(length: number): number {
  return Math.ceil(length / 4) * 4 // a length may have 32 bits: no bitwise operators
}

function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw malformed(what)
}

function malformed(what: string): NamespaceError {
  return new NamespaceError('ERR_NS_HELPER', `cannot understand the monitor: ${what}`, {
    hint: 'the helper and this package are of different versions: install @cromwell/ns-native anew',
  })
}
