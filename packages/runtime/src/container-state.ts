import { existsSync } from 'node:fs'
import { checkProcess, isRecordId, type PidEntry, type PidStore } from '@cromwell/pidstore'
import { type ContainerFiles, containerFiles } from './container-files.ts'
import { type ExitRecord, readExitRecord } from './exit-record.ts'
import type { RemoveTree } from './removal.ts'
import { OCI_VERSION } from './runtime-spec.ts'
import { readStateFile, type StateFile } from './state-file.ts'

/** A container's state: that of the OCI specification, and how it ended. */
export interface ContainerState {
  ociVersion: string
  id: string
  status: 'creating' | 'created' | 'running' | 'stopped'
  /** Of PID 1 of the container, as the host sees it; only while it runs here. */
  pid?: number
  /** Absolute directory of config.json. */
  bundle: string
  annotations: Record<string, string>
  /** RFC 3339, as are the next two. */
  createdAt?: string
  startedAt?: string
  finishedAt?: string
  /** Absent when a signal ended it, or when nobody was left to see how it ended. */
  exitCode?: number
  /** Name of the signal that ended it. */
  signal?: string
  /** It runs on another machine, or in another pid namespace, that shares this directory: why. */
  elsewhere?: string
  /** Its state file cannot be believed: why. The other fields then say little. */
  corrupt?: string
}

/** What a directory turned out to hold. */
export type Finding =
  | { kind: 'container'; state: ContainerState }
  /** Half-made or half-removed: nobody will ever finish it. */
  | { kind: 'leftover' }

/** What the judging of containers needs. */
export interface Records {
  /** Directory of the containers. */
  root: string
  pids: PidStore
  removeTree: RemoveTree
}

/**
 * Find out what became of a container. `entry` may be a pid record read earlier; it is read again
 * before anything is called dead. Never throws because of what the container's files say.
 */
export function findState(records: Records, id: string, entry: PidEntry | undefined): Finding {
  const files = containerFiles(records.root, id)
  const state = readState(files)
  const known = describeLive(files, id, state, entry)
  if (known !== undefined) return known
  if (state === undefined) return { kind: 'leftover' }
  if ('corrupt' in state) return { kind: 'container', state: damaged(files, id, state.corrupt) }

  // Order matters: the creator writes the pid file before it goes, and the monitor writes the exit
  // record before it takes the pid file away. Looking in the opposite order misses neither.
  const creatorRuns = wasEverUsed(state) || checkProcess(state.creator).state !== 'exited'
  const latest = getEntry(records, id)
  const late = describeLive(files, id, state, latest)
  if (late !== undefined) return late
  const exit = readExit(files)
  if (latest === undefined && exit === undefined && state.startedAt === undefined) {
    return creatorRuns ? container(state, { status: 'creating' }) : { kind: 'leftover' }
  }
  if (state.removeOnExit && !creatorRuns) return { kind: 'leftover' }
  return container(state, { status: 'stopped', ...exit })
}

/** For containers that stay, having run is all one needs to know; spares `ps -a` a look at each creator. */
function wasEverUsed(state: StateFile): boolean {
  return state.startedAt !== undefined && !state.removeOnExit
}

/** The finding where a pid record decides; undefined where it says that nothing runs. */
function describeLive(
  files: ContainerFiles,
  id: string,
  state: StateFile | { corrupt: string } | undefined,
  entry: PidEntry | undefined,
): Finding | undefined {
  if (entry === undefined || entry.state === 'exited') return undefined
  const found = liveFacts(entry)
  if (found.corrupt !== undefined && existsSync(files.exit)) return undefined // it ended regardless
  if (state !== undefined && !('corrupt' in state)) return container(state, found)
  const why = state?.corrupt ?? `${files.state} is missing`
  return { kind: 'container', state: { ...damaged(files, id, why), ...found } }
}

function liveFacts(entry: Exclude<PidEntry, { state: 'exited' }>): Partial<ContainerState> {
  switch (entry.state) {
    case 'running':
      return { status: 'running', pid: entry.record.pid }
    case 'elsewhere':
      return { status: 'running', elsewhere: entry.reason }
    case 'corrupt':
      return { status: 'stopped', corrupt: `${entry.path}: ${entry.reason}` }
  }
}

function container(state: StateFile, found: Partial<ContainerState>): Finding {
  const { creator: _creator, removeOnExit: _removeOnExit, ...common } = state
  return { kind: 'container', state: { status: 'stopped', ...common, ...found } }
}

function damaged(files: ContainerFiles, id: string, corrupt: string): ContainerState {
  return {
    ociVersion: OCI_VERSION,
    id,
    status: 'stopped',
    bundle: files.directory,
    annotations: {},
    corrupt,
  }
}

function getEntry(records: Records, id: string): PidEntry | undefined {
  return isRecordId(id) ? records.pids.getSync(id) : undefined
}

function readState(files: ContainerFiles): StateFile | { corrupt: string } | undefined {
  try {
    return readStateFile(files.state)
  } catch (error) {
    return { corrupt: `${files.state}: ${error instanceof Error ? error.message : error}` }
  }
}

/** A damaged exit record says as little as none, but that there is one says that the container ended. */
function readExit(files: ContainerFiles): ExitRecord | undefined {
  try {
    return readExitRecord(files.exit)
  } catch {
    return {}
  }
}
