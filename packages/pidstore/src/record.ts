import { isRecordId, quote } from './id.ts'
import { isPid, type ProcessIdentity } from './identity.ts'

/** What the file of a record holds: which process it is about, under which id. */
export interface PidRecord extends ProcessIdentity {
  /** The record's id, which is also its file's name without `.pid`. */
  id: string
}

/** The outcome of {@link parseRecord}; `pid` is what an unusable file claims, for display only. */
export type ParsedRecord = { record: PidRecord } | { reason: string; pid?: number }

/** Records have some 250 bytes; what is larger than this is none. */
export const MAX_RECORD_BYTES = 4096

const VERSION = '1'

/**
 * The text of a record: the pid alone on the first line, as pid files have always been, then one
 * `key=value` a line. `hostname`, which always has a newline after it, comes last, so that no
 * prefix of a record is a record.
 */
export function formatRecord(record: PidRecord): string {
  return [
    record.pid,
    `version=${VERSION}`,
    `id=${record.id}`,
    `startTime=${record.startTime}`,
    `timeOffset=${record.timeOffset}`,
    `bootId=${record.bootId}`,
    `pidNamespace=${record.pidNamespace}`,
    `machineId=${record.machineId}`,
    `hostname=${encodeURIComponent(record.hostname)}`,
    '',
  ].join('\n')
}

/** Reads what {@link formatRecord} wrote, one character per byte; keys it does not know are skipped. Never throws. */
export function parseRecord(text: string): ParsedRecord {
  if (text === '') return { reason: 'it is empty' }
  const lines = text.split('\n')
  const first = lines[0] ?? ''
  const pid = /^[1-9]\d{0,6}$/.test(first) ? Number(first) : undefined
  if (!isPid(pid)) return { reason: 'its first line is not a pid' }
  if (lines.length === 1 || (lines.length === 2 && lines[1] === '')) {
    return { reason: 'it holds a pid and nothing that tells whose', pid }
  }
  const parsed = parseFields(pid, lines)
  return typeof parsed === 'string' ? { reason: parsed, pid } : { record: parsed }
}

function parseFields(pid: number, lines: string[]): PidRecord | string {
  if (lines[lines.length - 1] !== '') return 'its last line is cut off'
  const fields = new Map<string, string>()
  for (const line of lines.slice(1, -1)) {
    const equals = line.indexOf('=')
    if (equals < 1) return `${quote(line)} is not key=value`
    const key = line.slice(0, equals)
    if (fields.has(key)) return `${quote(key)} is given twice`
    fields.set(key, line.slice(equals + 1))
  }
  const version = fields.get('version')
  if (version !== VERSION) return `it is of version ${quote(version)}, not ${VERSION}`

  const id = fields.get('id')
  const startTime = parseNumber(fields.get('startTime'), /^\d{1,15}$/)
  const timeOffset = parseNumber(fields.get('timeOffset'), /^-?\d{1,15}(\.\d{1,24})?(e-\d{1,2})?$/)
  const bootId = fields.get('bootId')
  const pidNamespace = parseNumber(fields.get('pidNamespace'), /^\d{1,15}$/)
  const machineId = fields.get('machineId')
  const hostname = decode(fields.get('hostname'))

  if (!isRecordId(id)) return 'it has no valid id'
  if (startTime === undefined) return 'it has no valid startTime'
  if (timeOffset === undefined) return 'it has no valid timeOffset'
  if (bootId === undefined || !/^[\w-]{1,64}$/.test(bootId)) return 'it has no valid bootId'
  if (pidNamespace === undefined) return 'it has no valid pidNamespace'
  if (machineId === undefined || !/^[\da-f]{0,64}$/.test(machineId)) {
    return 'it has no valid machineId'
  }
  if (hostname === undefined) return 'it has no valid hostname'
  return { id, pid, startTime, timeOffset, bootId, pidNamespace, hostname, machineId }
}

function parseNumber(text: string | undefined, pattern: RegExp): number | undefined {
  return text !== undefined && pattern.test(text) ? Number(text) : undefined
}

function decode(text: string | undefined): string | undefined {
  if (text === undefined || text.length > 1024) return undefined
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
