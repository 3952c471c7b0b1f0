import { readSmallFile } from './small-file.ts'

/** How a container ended, as its monitor wrote it down. */
export interface ExitRecord {
  /** Absent when a signal ended it. */
  exitCode?: number
  /** Signal name, such as `SIGKILL`. */
  signal?: string
  /** RFC 3339. */
  finishedAt?: string
}

/** Read a monitor's exit record: `key=value` lines, unknown keys ignored. Undefined when there is none. */
export function readExitRecord(path: string): ExitRecord | undefined {
  const text = readSmallFile(path)
  return text === undefined ? undefined : parseExitRecord(text)
}

export function parseExitRecord(text: string): ExitRecord {
  const record: ExitRecord = {}
  for (const line of text.split('\n')) {
    const [, key, value = ''] = /^([a-z-]+)=(.*)$/.exec(line) ?? []
    if (value === '') continue
    if (key === 'exit-code' && /^\d{1,3}$/.test(value)) record.exitCode = Number(value)
    else if (key === 'signal') record.signal = value
    else if (key === 'finished-at') record.finishedAt = value
  }
  return record
}
