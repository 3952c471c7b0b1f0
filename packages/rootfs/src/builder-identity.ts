import { readFileSync, readlinkSync } from 'node:fs'

/**
 * Who is building something: enough to tell a live process from one that died, even if its number was
 * given to another process since.
 */
export interface BuilderIdentity {
  pid: number
  /** Clock ticks since boot (proc_pid_stat(5), field 22). */
  startTime: number
  /** The boot and the pid namespace in which `pid` means something. */
  where: string
}

/** `alive` and `dead` are certain; `elsewhere` is a process of another boot, machine or pid namespace. */
export type BuilderState = 'alive' | 'dead' | 'elsewhere'

/** The calling process. */
export function ownIdentity(): BuilderIdentity {
  return { pid: process.pid, startTime: startTimeOf(process.pid) ?? 0, where: currentPlace() }
}

/** Whether the process that `identity` names still runs. */
export function builderState(identity: BuilderIdentity): BuilderState {
  if (identity.where !== currentPlace()) return 'elsewhere'
  return startTimeOf(identity.pid) === identity.startTime ? 'alive' : 'dead'
}

function currentPlace(): string {
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  const namespace = readlinkSync('/proc/self/ns/pid').replace(/\D/g, '')
  return `${bootId.replaceAll('-', '').slice(0, 16)}${namespace}`
}

/** Undefined when there is no such process, or only its zombie. */
function startTimeOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The command's name is in parentheses and may contain anything, so fields count from the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : Number(fields[19])
  } catch {
    return undefined
  }
}
