import { openPidStore } from '@cromwell/pidstore'
import type { ContainerState, Records } from './container-state.ts'
import { getState, listStates } from './list.ts'
import { discard, type RemoveTree, removeOwnTree } from './removal.ts'
import { type Reservation, type ReserveOptions, reserve } from './reservation.ts'
import { type RunOptions, start } from './run.ts'
import type { RunningContainer } from './running-container.ts'
import { deleteContainer, signalContainer } from './stop.ts'

/** Where containers are kept, and how their trees are removed. */
export interface RuntimeOptions {
  /** One directory per container; created when the first is. Absolute. */
  root: string
  /** One pid file per running container. Absolute. */
  pidsDir: string
  /** Default: remove with the caller's own rights. */
  removeTree?: RemoveTree
}

/** Runs OCI bundles and knows what became of them. */
export interface Runtime {
  /**
   * Take an id and make its directory, into which the bundle may be written. Whoever reserves must
   * `run` or `release`. Throws RuntimeError ERR_RUNTIME_ID, ERR_RUNTIME_EXISTS, ERR_RUNTIME_STATE.
   */
  reserve(options: ReserveOptions): Reservation
  /** Give up a reservation: its directory vanishes. */
  release(reservation: Reservation): Promise<void>
  /**
   * Run what the reservation's bundle describes; resolves once its program has been executed. When
   * it fails, nothing is left. Throws RuntimeError ERR_RUNTIME_BUNDLE, ERR_RUNTIME_CONFIG,
   * ERR_RUNTIME_UNSUPPORTED, and NamespaceError for what fails on the way to the program.
   */
  run(reservation: Reservation, options: RunOptions): Promise<RunningContainer>
  /** What became of a container. Throws RuntimeError ERR_RUNTIME_NOT_FOUND. */
  state(id: string): Promise<ContainerState>
  /**
   * All containers, in no particular order; of those that do not run only if `all`. Dead ones are
   * known for dead, half-made ones are swept, damaged ones are shown as such: never throws for one.
   */
  list(options?: { all?: boolean }): Promise<ContainerState[]>
  /** Signal PID 1, which passes it on. Throws RuntimeError ERR_RUNTIME_NOT_FOUND, ERR_RUNTIME_NOT_RUNNING. */
  kill(id: string, signal: NodeJS.Signals | number): Promise<void>
  /** Remove a container that has ended; with `force` also one that runs. */
  delete(id: string, options?: { force?: boolean }): Promise<void>
}

/** Open the containers of a directory. Touches nothing until asked to. */
export function openRuntime(options: RuntimeOptions): Runtime {
  const { root, removeTree = removeOwnTree } = options
  const records: Records = { root, pids: openPidStore(options.pidsDir), removeTree }
  return {
    reserve: (reserveOptions) => reserve(root, reserveOptions),
    release: ({ id }) => discard(root, id, removeTree),
    async run(reservation, runOptions) {
      try {
        return await start(records, reservation, runOptions)
      } catch (error) {
        await discard(root, reservation.id, removeTree)
        throw error
      }
    },
    state: async (id) => getState(records, id),
    list: (listOptions) => listStates(records, listOptions),
    kill: (id, signal) => signalContainer(records, id, signal),
    delete: (id, deleteOptions) => deleteContainer(records, id, deleteOptions),
  }
}
