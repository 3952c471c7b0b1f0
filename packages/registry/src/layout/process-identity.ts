import { readFileSync, readlinkSync } from 'node:fs'

/** What tells one process from every other one, over time and over machines. */
export interface ProcessIdentity {
  pid: number
  /** Clock ticks since boot: field 22 of /proc/PID/stat. */
  startTime: string
  /** Differs on every boot and on every machine. */
  bootId: string
  /** The pid namespace that the pid is a number of. */
  pidNamespace: string
}

/** The identity of this process. */
export function ownIdentity(): ProcessIdentity {
  return {
    pid: process.pid,
    startTime: startTimeOf(process.pid) ?? '',
    bootId: readBootId(),
    pidNamespace: readPidNamespace(),
  }
}

/** Whether the process still runs; `unknown` if it belongs to another machine, boot or pid namespace. */
export function processState(identity: ProcessIdentity): 'alive' | 'dead' | 'unknown' {
  if (identity.bootId !== readBootId() || identity.pidNamespace !== readPidNamespace()) {
    return 'unknown'
  }
  return startTimeOf(identity.pid) === identity.startTime ? 'alive' : 'dead'
}

/** Undefined for a process that is gone or a zombie. */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field is the program's name in parentheses and may hold anything, even parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
}

function readPidNamespace(): string {
  return readlinkSync('/proc/self/ns/pid')
}
