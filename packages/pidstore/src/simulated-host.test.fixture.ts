import { mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { HostOptions } from './host.ts'

/** What `/proc/<pid>/stat` says of a simulated process. */
export interface SimulatedProcess {
  startTime: number
  state?: string
  threads?: number
  name?: string
}

/** The facts that tell one simulated machine, boot or namespace from another. */
export interface SimulatedFacts {
  bootId?: string
  hostname?: string
  machineId?: string
  pidNamespace?: number
  /** The line of timens_offsets, `seconds nanoseconds`. */
  bootTimeOffset?: string
  nsPid?: string
}

/** Pids that no kernel gives out (its limit is exclusive), so that nobody outside the simulation has them. */
export const NOBODY = 4_194_304

/** A proc tree and a machine-id on disk: another boot or machine is another set of files. */
export class SimulatedHost implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'pidstore-host-'))
  readonly procDir = join(this.directory, 'proc')
  readonly machineIdFile = join(this.directory, 'machine-id')
  readonly options: HostOptions = { procDir: this.procDir, machineIdFile: this.machineIdFile }

  constructor(facts: SimulatedFacts = {}) {
    mkdirSync(join(this.procDir, 'sys/kernel/random'), { recursive: true })
    mkdirSync(join(this.procDir, 'self/ns'), { recursive: true })
    this.set({
      bootId: '11111111-1111-4111-8111-111111111111',
      hostname: 'host-a',
      machineId: 'a'.repeat(32),
      pidNamespace: 4_026_531_836,
      bootTimeOffset: '0 0',
      nsPid: `${process.pid}`,
      ...facts,
    })
    // Locks name the process that holds them: this one.
    this.start(process.pid, { startTime: 1 })
  }

  set(facts: SimulatedFacts): void {
    const { bootId, hostname, machineId, pidNamespace, bootTimeOffset, nsPid } = facts
    if (bootId !== undefined) this.#write('sys/kernel/random/boot_id', `${bootId}\n`)
    if (hostname !== undefined) this.#write('sys/kernel/hostname', `${hostname}\n`)
    if (machineId !== undefined) writeFileSync(this.machineIdFile, `${machineId}\n`)
    if (nsPid !== undefined) this.#write('self/status', `Name:\tnode\nNSpid:\t${nsPid}\n`)
    if (bootTimeOffset !== undefined) {
      this.#write('self/timens_offsets', `monotonic 0 0\nboottime ${bootTimeOffset}\n`)
    }
    if (pidNamespace !== undefined) {
      const link = join(this.procDir, 'self/ns/pid')
      rmSync(link, { force: true })
      symlinkSync(`pid:[${pidNamespace}]`, link)
    }
  }

  start(pid: number, { startTime, state = 'S', threads = 1, name = 'sleep' }: SimulatedProcess) {
    mkdirSync(join(this.procDir, `${pid}`), { recursive: true })
    const before = '1 1 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0'
    this.#write(
      `${pid}/stat`,
      `${pid} (${name}) ${state} ${before} ${threads} 0 ${startTime} 2854912 223 0 0\n`,
    )
  }

  end(pid: number): void {
    unlinkSync(join(this.procDir, `${pid}/stat`))
  }

  #write(path: string, text: string): void {
    writeFileSync(join(this.procDir, path), text)
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}
