import type { Readable, Writable } from 'node:stream'
import type { ExitStatus } from './contained-process.ts'
import { CAPABILITIES } from './defaults.ts'
import { launch } from './launch.ts'
import type { IdMappingPlan } from './launch-spec.ts'

/** What a mapped process gets of its surroundings. */
export interface SpawnMappedOptions {
  /** `KEY=value` pairs; nothing else is inherited. */
  env: Readonly<Record<string, string>>
  /** Absolute. */
  cwd: string
  /** Kills the process. */
  signal?: AbortSignal
}

/** A process in a user namespace. */
export interface MappedProcess {
  /** As this process sees it. */
  pid: number
  stdin: Writable
  stdout: Readable
  stderr: Readable
  /** Resolves when it has ended. */
  wait(): Promise<ExitStatus>
  kill(signal?: NodeJS.Signals | number): boolean
}

/**
 * Run a program as root of a new user namespace with the plan's id mapping, all capabilities
 * inside, and otherwise in the caller's world: same files, same network, same processes.
 *
 * With a plan of kind `identity` there is nothing to map, and no namespace is created: the program
 * runs as the caller, who is root. It dies with this process; what it started and left behind does
 * not. Rejects like `launch`.
 */
export async function spawnMapped(
  plan: IdMappingPlan,
  file: string,
  args: readonly string[],
  options: SpawnMappedOptions,
): Promise<MappedProcess> {
  const identity = plan.kind === 'identity'
  const contained = await launch(
    {
      namespaces: identity ? [] : ['user'],
      ...(identity ? {} : { idMapping: plan }),
      mounts: [],
      maskedPaths: [],
      readonlyPaths: [],
      process: {
        args: [file, ...args],
        env: Object.entries(options.env).map(([key, value]) => `${key}=${value}`),
        cwd: options.cwd,
        uid: 0,
        gid: 0,
        additionalGids: [],
        umask: 0o022,
        capabilities: Object.keys(CAPABILITIES),
        noNewPrivileges: false,
      },
    },
    {
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    },
  )
  const { pid, stdin, stdout, stderr } = contained
  if (stdin === undefined || stdout === undefined || stderr === undefined) {
    throw new TypeError('expected three pipes')
  }
  return {
    pid,
    stdin,
    stdout,
    stderr,
    wait: () => contained.wait(),
    kill: (signal) => contained.kill(signal),
  }
}
