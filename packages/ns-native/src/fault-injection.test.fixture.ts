import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findHelper } from './binding.ts'
import { eventually } from './container.test.fixture.ts'
import { NamespaceError } from './errors.ts'
import { launch } from './launch.ts'
import type { LaunchSpec } from './launch-spec.ts'
import { syscallNumbers } from './seccomp/syscall-table.ts'

/** Who calls, told by parent and order: the monitor, its first child, that one's, the monitor's later ones. */
export type Role = 'monitor' | 'init' | 'payload' | 'helper'

/** A system call of one process of a launch: the `occurrence`th of that name. */
export interface CallSite {
  /** In the order of appearance; 0 is the monitor. */
  process: number
  role: Role
  call: string
  occurrence: number
}

/** What is to happen at a call site: an errno that it fails with, or 0 for SIGKILL. */
export interface Fault extends CallSite {
  errno: number
}

/** How a launch with a fault in it went. */
export interface FaultOutcome {
  /** Whether the call site was reached at all: what a process polls for may differ from run to run. */
  injected: boolean
  /** How `launch` rejected. */
  launchError: NamespaceError | undefined
  /** How `wait` rejected. */
  waitError: NamespaceError | undefined
  /** Exit code or signal, when it ran. */
  status: string | undefined
  /** Processes that outlived the monitor, hung, and what else is wrong whatever the fault was. */
  complaints: string[]
}

// Longer than inject.c takes to end what hangs.
const PATIENCE_MS = 4000

const numbers = syscallNumbers('x64')
const names = new Map([...numbers].map(([name, number]) => [number, name]))

/** Runs launches under src/inject.c. Close it: it has a directory. */
export class Injector {
  readonly #directory = mkdtempSync(join(tmpdir(), 'cromwell-inject-'))
  readonly #program = join(this.#directory, 'inject')
  #count = 0

  readonly #start: typeof launch

  /** What is launched is a container, or what `start` makes of the spec. */
  constructor(cc: string, start: typeof launch = launch) {
    this.#start = start
    const source = join(import.meta.dirname, 'inject.c')
    const built = spawnSync(cc, ['-O1', '-o', this.#program, source], { encoding: 'utf8' })
    if (built.status !== 0) throw new Error(`cannot compile inject.c: ${built.stderr}`)
  }

  close(): void {
    rmSync(this.#directory, { recursive: true, force: true })
  }

  /** Every call of every process of a launch that goes well. */
  async record(spec: LaunchSpec): Promise<CallSite[]> {
    const { report, outcome } = await this.#run(spec, '-1 0 0 0')
    if (outcome.status !== 'exit 0') throw new Error(`it failed: ${JSON.stringify(outcome)}`)
    const roles: Role[] = []
    const counts = new Map<string, number>()
    return report.flatMap(([word, first, second]) => {
      if (word === 'role') roles.push(nextRole(roles, Number(second)))
      if (word !== 'call') return []
      const process = Number(first)
      const call = names.get(Number(second)) ?? `${second}`
      const occurrence = (counts.get(`${process} ${call}`) ?? 0) + 1
      counts.set(`${process} ${call}`, occurrence)
      return [{ process, role: roles[process] ?? 'helper', call, occurrence }]
    })
  }

  /** One launch with one fault. */
  async inject(spec: LaunchSpec, fault: Fault): Promise<FaultOutcome> {
    const number = numbers.get(fault.call) ?? Number(fault.call)
    const line = `${fault.process} ${number} ${fault.occurrence} ${fault.errno}`
    return (await this.#run(spec, line)).outcome
  }

  async #launch(spec: LaunchSpec, helperPath: string, outcome: FaultOutcome): Promise<void> {
    try {
      const contained = await this.#start(spec, {
        stdio: ['ignore', 'ignore', 'ignore'],
        helperPath,
      })
      try {
        const { exitCode, signal } = await contained.wait()
        outcome.status = signal ?? `exit ${exitCode}`
      } catch (error) {
        outcome.waitError = asNamespaceError(error)
      }
    } catch (error) {
      outcome.launchError = asNamespaceError(error)
    }
  }

  async #run(spec: LaunchSpec, fault: string) {
    const base = join(this.#directory, `${++this.#count}`)
    const [helperPath, reportPath] = [`${base}.case`, `${base}.report`]
    const lines = [`#!${this.#program}`, findHelper(), reportPath, fault]
    writeFileSync(helperPath, `${lines.join('\n')}\n`)
    chmodSync(helperPath, 0o755)
    const outcome: FaultOutcome = {
      ...{ injected: false, launchError: undefined, waitError: undefined, status: undefined },
      complaints: [],
    }
    const settled = await Promise.race([
      this.#launch(spec, helperPath, outcome).then(() => true),
      new Promise<false>((resolve) => setTimeout(resolve, PATIENCE_MS, false)),
    ])
    if (!settled) outcome.complaints.push('launch() or wait() never settled')
    // it is complete when no process of the launch is left, or long enough after it should be
    const report = readReport(
      await eventually(() => existsSync(reportPath) && reportPath).catch(() => {
        throw new Error(`no report for ${fault}: ${JSON.stringify(outcome)}`)
      }),
    )
    rmSync(helperPath)
    rmSync(reportPath)
    outcome.injected = report.some(([word]) => word === 'injected')
    for (const [word = '', ...facts] of report)
      if (word === 'left' || word === 'hang')
        outcome.complaints.push(
          `${word === 'left' ? 'outlived the monitor' : 'hung'}: process ${facts[0]}`,
        )
    return { report, outcome }
  }
}

function nextRole(known: readonly Role[], parent: number): Role {
  if (parent < 0) return 'monitor'
  if (known[parent] === 'init') return 'payload'
  return known.includes('init') ? 'helper' : 'init'
}

function readReport(path: string): string[][] {
  return readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' '))
}

function asNamespaceError(error: unknown): NamespaceError {
  if (error instanceof NamespaceError) return error
  throw error
}
