import { createHmac } from 'node:crypto'
import { readlinkSync } from 'node:fs'
import { PidstoreError } from './errors.ts'
import { readKernelFile } from './small-file.ts'

/** Where the facts about this machine and its processes are read from. */
export interface HostOptions {
  /** A mounted proc file system of this process's own pid namespace; default `/proc`. */
  procDir?: string
  /** The file of machine-id(5); default `/etc/machine-id`. */
  machineIdFile?: string
}

/** What tells this boot of this machine, seen from this pid namespace, from every other. */
export interface Host {
  readonly procDir: string
  /** `/proc/sys/kernel/random/boot_id`: another one after every boot. */
  readonly bootId: string
  /** Inode number of this process's pid namespace. */
  readonly pidNamespace: number
  /** This process's CLOCK_BOOTTIME offset in clock ticks: 0 outside of time namespaces. */
  readonly timeOffset: number
  readonly hostname: string
  /** 32 hex digits derived from machine-id(5), or `''` on a machine without one. */
  readonly machineId: string
}

/**
 * Reads the facts that every verdict on a process rests on. Throws `ERR_PIDSTORE_PROC` where there
 * is no proc file system, or where it shows the pids of another namespace.
 */
export function readHost(options: HostOptions = {}): Host {
  const procDir = options.procDir ?? '/proc'
  const machineIdFile = options.machineIdFile ?? '/etc/machine-id'
  try {
    assertOwnNamespace(procDir)
    let machineId: string | undefined
    return {
      procDir,
      bootId: readKernelFile(`${procDir}/sys/kernel/random/boot_id`).trim(),
      pidNamespace: readNamespace(`${procDir}/self/ns/pid`),
      timeOffset: readTimeOffset(procDir),
      hostname: readKernelFile(`${procDir}/sys/kernel/hostname`).replace(/\n$/, ''),
      // Only wanted for writing, and for judging records of another boot.
      get machineId() {
        machineId ??= readMachineId(machineIdFile)
        return machineId
      },
    }
  } catch (cause) {
    if (cause instanceof PidstoreError) throw cause
    throw new PidstoreError(
      'ERR_PIDSTORE_PROC',
      `cannot tell processes apart: ${procDir} does not answer (${cause instanceof Error ? cause.message : cause})`,
      { path: procDir, hint: 'mount it: mount -t proc proc /proc', cause },
    )
  }
}

/**
 * In a pid namespace whose /proc is still the parent's, `/proc/<pid>` is somebody else. NSpid of
 * our own status has one number for each namespace from the mount's down to ours (proc(5)).
 */
function assertOwnNamespace(procDir: string): void {
  const pids = /^NSpid:(.*)$/m.exec(readKernelFile(`${procDir}/self/status`))?.[1]
  if (pids === undefined || pids.trim().split(/\s+/).length === 1) return
  throw new PidstoreError(
    'ERR_PIDSTORE_PROC',
    `cannot tell processes apart: ${procDir} shows the pids of another pid namespace than ours`,
    { path: procDir, hint: 'mount one for this pid namespace: mount -t proc proc /proc' },
  )
}

function readNamespace(path: string): number {
  const inode = /\[(\d+)\]$/.exec(readlinkSync(path))?.[1]
  if (inode === undefined) throw new Error(`${path} is not a link to a namespace`)
  return Number(inode)
}

/**
 * Since Linux 5.6 field 22 of stat is shifted by the *reader's* time namespace
 * (time_namespaces(7)), so that a start time alone means nothing without the offset.
 */
function readTimeOffset(procDir: string): number {
  let text: string
  try {
    text = readKernelFile(`${procDir}/self/timens_offsets`)
  } catch {
    return 0 // a kernel without time namespaces
  }
  const [, seconds, nanoseconds] = /^boottime\s+(-?\d+)\s+(\d+)$/m.exec(text) ?? []
  if (seconds === undefined || nanoseconds === undefined) return 0
  // USER_HZ is 100 on every architecture that Node runs on.
  return Number(seconds) * 100 + Number(nanoseconds) / 1e7
}

/**
 * machine-id(5) asks applications never to show the id itself but a keyed hash of it: pid files
 * may lie on a file server.
 */
function readMachineId(path: string): string {
  let text: string
  try {
    text = readKernelFile(path).trim()
  } catch {
    return ''
  }
  // Images ship it empty or as "uninitialized" until the first boot.
  if (!/^[0-9a-f]{32}$/.test(text)) return ''
  return createHmac('sha256', text).update('@cromwell/pidstore').digest('hex').slice(0, 32)
}
