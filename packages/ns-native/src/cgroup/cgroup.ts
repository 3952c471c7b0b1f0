import { mkdirSync, readdirSync, rmdirSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PolicyError, SetupError, UnsupportedError } from '../errors.ts'
import type { Enforcer, Limits } from '../limits.ts'
import { currentFacts, markDelegated } from './facts.ts'
import { isOurs, readCgroupStats, readWords } from './group-files.ts'
import { writesOfVersionTwo } from './groups.ts'
import { type Controller, findPlaces } from './place.ts'
import type { CgroupStats } from './stats.ts'

const CGROUP2_SUPER_MAGIC = 0x63677270
const CONTROLLERS: readonly Controller[] = ['memory', 'cpu', 'pids', 'io']
/** Of the group that `delegate` puts the processes of the delegated one into. */
const SUPERVISOR = 'supervisor'
const ATTEMPTS = 200
const PAUSE_MS = 5

/** What this host and this user's place in it allow. */
export interface CgroupSupport {
  /** Who would hold limits on memory, cpus and pids; undefined: no group, but see `Enforcer`. */
  by: Extract<Enforcer, 'cgroup2' | 'systemd' | 'cgroup1'> | undefined
  controllers: readonly Controller[]
  /** Where groups would be made; with `systemd` it is systemd who knows. */
  parent?: string
  /** This process's own version 2 group. */
  own?: string
}

/** A control group of version 2: a directory of the cgroup2 file system. cgroups(7) */
export class Cgroup {
  readonly path: string

  /** An existing group. Throws ERR_NS_SPEC for any other directory. */
  constructor(path: string) {
    if (!isCgroup2(path)) {
      const message = `${path} is no control group of version 2`
      throw new PolicyError(message, { pointer: '' }, 'ERR_NS_SPEC')
    }
    this.path = path
  }

  /** The controllers that groups made in this one have. */
  get controllers(): string[] {
    return readWords(this.path, 'cgroup.subtree_control')
  }

  /** Make a group in it; with limits, those controllers must be among `controllers`. */
  create(name: string, limits: Limits = {}): Cgroup {
    checkName(name)
    const path = join(this.path, name)
    attempt('make', path, () => mkdirSync(path))
    const made = new Cgroup(path)
    try {
      made.setLimits(limits)
    } catch (error) {
      rmdirSync(path)
      throw error
    }
    return made
  }

  /** Hand controllers down to the groups in it. Not while it has processes of its own (EBUSY). */
  enable(controllers: readonly Controller[]): void {
    this.#write('cgroup.subtree_control', controllers.map((name) => `+${name}`).join(' '))
  }

  /** Of memory, cpus, pids and io; the monitor's own limits are nothing for a group. */
  setLimits(limits: Limits): void {
    for (const [file, value] of writesOfVersionTwo(limits, new Set(CONTROLLERS))) {
      const optional = file.startsWith('?')
      try {
        this.#write(file.replace('?', ''), value)
      } catch (error) {
        if (!optional || !(error instanceof SetupError) || error.errno !== ENOENT) throw error
      }
    }
  }

  stats(): CgroupStats {
    return readCgroupStats(this.path)
  }

  /** Of its own processes, not of those in groups below. */
  pids(): number[] {
    return readWords(this.path, 'cgroup.procs').map(Number)
  }

  /** Move a process here. It takes milliseconds; a process is better born in its group, as `launch` does it. */
  add(pid: number): void {
    this.#write('cgroup.procs', String(pid))
  }

  /** SIGKILL for all in it and below it, at once: nobody can fork away. Linux 5.14. */
  kill(): void {
    this.#write('cgroup.kill', '1')
  }

  /** Stop all in it and below it; resolves when all have stopped. */
  async freeze(): Promise<void> {
    await this.#setFrozen(true)
  }

  /** Let it go on. */
  async thaw(): Promise<void> {
    await this.#setFrozen(false)
  }

  /** Kill what is in it, and remove it with all groups below; resolves when it is gone. */
  async remove(): Promise<void> {
    if (this.stats().populated) this.kill()
    for (let attempts = 0; attempts < ATTEMPTS; attempts++) {
      if (removeTree(this.path)) return
      await pause()
    }
    throw new SetupError(`cannot remove the control group ${this.path}: it is in use`, {
      step: 'cgroup',
      path: this.path,
    })
  }

  async #setFrozen(frozen: boolean): Promise<void> {
    this.#write('cgroup.freeze', frozen ? '1' : '0')
    for (let attempts = 0; this.stats().frozen !== frozen; attempts++) {
      if (attempts === ATTEMPTS)
        throw new SetupError(`${this.path} does not stop: a process in it waits in the kernel`)
      await pause()
    }
  }

  #write(file: string, value: string): void {
    const path = join(this.path, file)
    attempt('write to', path, () => writeFileSync(path, value, { flag: 'r+' }))
  }
}

/** Control groups, for who wants to make them. */
export const cgroup = {
  /** What a launch with limits would use. Only looks. */
  detect(): CgroupSupport {
    const facts = currentFacts()
    const [best] = findPlaces(['memory', 'cpu', 'pids'], facts)
    const own = facts.layout.v2?.own
    return {
      by: best?.kind,
      controllers: best === undefined ? [] : [...best.controllers],
      ...(best?.kind === 'cgroup2' ? { parent: best.parent } : {}),
      ...(own === undefined ? {} : { own }),
    }
  },

  /** An existing group of version 2. */
  open(path: string): Cgroup {
    return new Cgroup(path)
  },

  /**
   * Make the group that this process is in one to make groups in: a group that hands down
   * controllers has no processes, so all that are in it move to a group below. For a process that
   * was given its group (`Delegate=yes`, or the only one in a container), once, at its start.
   * Throws UnsupportedError where the group is not this user's.
   */
  delegate(): Cgroup {
    const { layout } = currentFacts()
    const own = layout.v2?.own
    if (own === undefined || !isOurs(own, 2)) {
      throw new UnsupportedError('the control group of this process is not its own', {
        missing: ['cgroup'],
        hint: 'start it by systemd-run --user --scope -p Delegate=yes, or as a service with Delegate=yes',
      })
    }
    const group = new Cgroup(own)
    const supervisor = join(own, SUPERVISOR)
    attempt('make', supervisor, () => mkdirSync(supervisor, { recursive: true }))
    const leaf = new Cgroup(supervisor)
    for (let pids = group.pids(); pids.length > 0; pids = group.pids()) {
      for (const pid of pids) addIfAlive(leaf, pid)
    }
    const available = readWords(own, 'cgroup.controllers')
    group.enable(CONTROLLERS.filter((name) => available.includes(name)))
    markDelegated(own)
    return group
  },
}

function addIfAlive(group: Cgroup, pid: number): void {
  try {
    group.add(pid)
  } catch (error) {
    if (!(error instanceof SetupError) || error.errno !== ESRCH) throw error
  }
}

const ENOENT = 2
const ESRCH = 3

function attempt(what: string, path: string, action: () => void): void {
  try {
    action()
  } catch (error) {
    const { errno = 0, message } = error as NodeJS.ErrnoException // node:fs throws nothing else
    const facts = { step: 'cgroup', path, errno: -errno, cause: error }
    throw new SetupError(`cannot ${what} ${path}: ${message}`, facts)
  }
}

function isCgroup2(path: string): boolean {
  try {
    return statfsSync(path).type === CGROUP2_SUPER_MAGIC
  } catch {
    return false
  }
}

function checkName(name: string): void {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,200}$/.test(name)) return
  throw new PolicyError(`not a name for a control group: ${name}`, { pointer: '' }, 'ERR_NS_SPEC')
}

/** Whether it is gone, with all below it. */
function removeTree(path: string): boolean {
  try {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (entry.isDirectory()) removeTree(join(path, entry.name))
    }
    rmdirSync(path)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' // node:fs throws nothing else
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
}
