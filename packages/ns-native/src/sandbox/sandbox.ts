import { idMappingFacts } from '../host-files.ts'
import type { Publication, PublishOptions } from '../network/publication.ts'
import { planProcess, planSpawn, type SpawnContext } from '../spawn/plan-spawn.ts'
import type { RunResult } from '../spawn/run-result.ts'
import type { ExecOptions, PipedSandboxProcess, SandboxProcess } from '../spawn/sandbox-process.ts'
import type { SpawnOptions, WithPipes } from '../spawn/spawn-options.ts'
import { start } from '../spawn/start.ts'
import { surroundings } from '../surroundings.ts'
import { checkPolicy } from './check-policy.ts'
import { Overlays, type SandboxChange } from './overlays.ts'
import { absolutePath } from './paths.ts'
import { planLandlock } from './plan-landlock.ts'
import { planPolicy } from './plan-policy.ts'
import type { Policy } from './policy.ts'
import { withPreset } from './presets.ts'
import { openProxy, type SandboxProxy } from './sandbox-proxy.ts'
import { TemporaryState } from './state-directory.ts'

/** What may differ from program to program in one sandbox. */
export type SandboxSpawnOptions = ExecOptions

/** The same for `run`, which takes care of the streams. */
export interface RunOptions extends Pick<ExecOptions, 'cwd' | 'env' | 'signal' | 'killSignal'> {
  /** What the program reads; the default is nothing. */
  input?: string | Uint8Array
  /** How much of stdout and of stderr is kept, in bytes. Default 16 MB. */
  collectBytes?: number
}

const COLLECT_BYTES = 16 * 1024 * 1024

/**
 * A place to run programs in under one policy. Any number of them can be there at once, they share
 * nothing that their policies do not name.
 *
 * Rejects with PolicyError for a policy that makes no sense, and UnsupportedError for one that this
 * host cannot enforce.
 */
export async function sandbox(policy: Policy = {}): Promise<Sandbox> {
  const whole = withPreset(policy)
  checkPolicy(whole)
  const { net } = whole
  return new Sandbox(whole, net?.mode === 'proxied' ? await openProxy(net) : undefined)
}

/**
 * See {@link sandbox}. Each program gets namespaces of its own over the same files: what one leaves
 * running does not outlive it, and no other sees its processes, its /tmp or its network. To run one
 * beside another, use `exec` of the process.
 */
export class Sandbox {
  readonly policy: Policy
  readonly #context: SpawnContext
  readonly #state: TemporaryState
  readonly #overlays: Overlays
  readonly #proxy: SandboxProxy | undefined
  readonly #running = new Set<SandboxProcess>()
  #closed = false

  /** @internal */
  constructor(policy: Policy, proxy: SandboxProxy | undefined) {
    this.policy = policy
    this.#proxy = proxy
    const around = surroundings()
    this.#context = { around, ids: () => idMappingFacts(around.env['PATH']) }
    this.#state = new TemporaryState(this.#context.around.temporary)
    // what is wrong with it should be known now, and not at the first program
    const { mounts, idMapping } = planSpawn(['true'], this.#plan({}), this.#context)
    this.#overlays = new Overlays(mounts, idMapping)
  }

  /** Run a program to its end, however it ends, and collect its output. Rejects when it cannot be started. */
  async run(
    file: string,
    args: readonly string[] = [],
    options: RunOptions = {},
  ): Promise<RunResult> {
    const { input, collectBytes = COLLECT_BYTES, ...others } = options
    const stdin = input === undefined ? 'ignore' : 'pipe'
    const child = this.spawn(file, args, {
      ...others,
      collectBytes,
      stdio: [stdin, 'pipe', 'pipe'],
    })
    // a program that does not read all of it is no error
    child.stdin?.on('error', () => {}).end(input)
    return child.result
  }

  /** Start a program; as the function `spawn`, under this sandbox's policy. */
  spawn(
    file: string,
    args?: readonly string[],
    options?: WithPipes<SandboxSpawnOptions>,
  ): PipedSandboxProcess
  spawn(file: string, args?: readonly string[], options?: SandboxSpawnOptions): SandboxProcess
  spawn(
    file: string,
    args: readonly string[] = [],
    options: SandboxSpawnOptions = {},
  ): SandboxProcess {
    if (this.#closed) throw new TypeError('the sandbox is closed')
    const planned = this.#plan(options)
    const spec = planSpawn([file, ...args], planned, this.#context)
    this.#overlays.enter()
    const { onSyscall } = this.policy
    const child = start(spec, {
      ...options,
      ...(onSyscall === undefined ? {} : { onSyscall }),
      degraded: this.#degraded(),
      ...(this.#proxy === undefined ? {} : { whenStarted: this.#proxy.serve }),
      joining: (changes, joined) =>
        planProcess(joined, { ...planned, ...this.#changed(planned, changes) }, this.#context),
      cleanUp: () => {
        this.#overlays.leave()
        this.#proxy?.leave(child)
        this.#running.delete(child)
      },
    })
    this.#running.add(child)
    return child
  }

  /** Have a port of the host lead to one of the program that was started last and still runs. */
  async publish(port: number, options: PublishOptions = {}): Promise<Publication> {
    const newest = [...this.#running].at(-1)
    if (newest === undefined) throw new TypeError('no program runs: start one first')
    return newest.publish(port, options)
  }

  /** What programs changed in the directories of `files.overlay`. While none of them runs. */
  changes(): AsyncGenerator<SandboxChange, void, undefined> {
    return this.#overlays.changes()
  }

  /** Make these changes on the host: files are replaced, never written into, and no link is followed. */
  commit(): Promise<void> {
    return this.#overlays.commit()
  }

  /** Forget these changes. Closing the sandbox does, too. */
  discard(): Promise<void> {
    return this.#overlays.discard()
  }

  /** End all its programs and remove what it kept. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#running].map((child) => child[Symbol.asyncDispose]()))
    await this.#proxy?.close()
    this.#state.remove()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Limits say for themselves whether they hold. */
  #degraded(): string[] {
    const { isolation, net, allowDegraded = [] } = this.policy
    if (isolation !== 'landlock' || net?.mode === 'host') return []
    return allowDegraded.filter((name) => name === 'net.udp')
  }

  #plan(options: SandboxSpawnOptions): SpawnOptions {
    const planned =
      this.policy.isolation === 'landlock'
        ? planLandlock(this.policy, this.#context)
        : planPolicy(this.policy, this.#context.around, this.#state)
    return { ...planned, ...this.#changed(planned, options) }
  }

  /** Variables are added to the policy's, the rest is instead of it. */
  #changed(planned: SpawnOptions, { cwd, env, pty }: ExecOptions): Partial<SpawnOptions> {
    return {
      ...(cwd === undefined ? {} : { cwd: absolutePath(cwd, '/cwd', this.#context.around) }),
      ...(env === undefined ? {} : { env: { ...planned.env, ...env } }),
      ...(pty === undefined ? {} : { pty }),
    }
  }
}
