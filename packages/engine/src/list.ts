import type { ContainerState } from '@cromwell/runtime'
import { ANNOTATIONS } from './annotations.ts'
import { readNamesById, sweepNames } from './container-name.ts'
import type { EngineContext } from './context.ts'
import { signalExitCode } from './signal.ts'

/** What `ps` tells about a container. */
export interface ContainerSummary {
  id: string
  /** Empty when another container has taken it over. */
  name: string
  /** Familiar name of the image, or the root directory. */
  image: string
  /** Digest of the image's configuration; a directory has none. */
  imageId?: string
  command: string[]
  createdAt: Date
  startedAt?: Date
  finishedAt?: Date
  state: ContainerState['status']
  /** 128 + n after signal n; absent while it runs, and when nobody saw how it ended. */
  exitCode?: number
  /** Of PID 1, as the host sees it, while it runs here. */
  pid?: number
  /** Why its records cannot be believed; the other fields then say little. */
  corrupt?: string
}

/** What runs, or with `all` every container, newest first. Never fails because of one bad record. */
export async function listContainers(
  context: EngineContext,
  options: { all?: boolean } = {},
): Promise<ContainerSummary[]> {
  const states = await context.runtime.list(options)
  if (options.all === true) sweepNames(context.home, new Set(states.map(({ id }) => id)))
  const names = readNamesById(context.home)
  return states
    .map((state) => summarize(state, names.get(state.id) ?? ''))
    .sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime())
}

function summarize(state: ContainerState, name: string): ContainerSummary {
  const { annotations } = state
  const imageId = annotations[ANNOTATIONS.imageId]
  const exitCode =
    state.exitCode ?? (state.signal === undefined ? undefined : signalExitCode(state.signal))
  return {
    id: state.id,
    name,
    image: annotations[ANNOTATIONS.image] ?? '',
    ...(imageId === undefined ? {} : { imageId }),
    command: parseCommand(annotations[ANNOTATIONS.command]),
    createdAt: new Date(state.createdAt ?? 0),
    ...(state.startedAt === undefined ? {} : { startedAt: new Date(state.startedAt) }),
    ...(state.finishedAt === undefined ? {} : { finishedAt: new Date(state.finishedAt) }),
    state: state.status,
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(state.pid === undefined ? {} : { pid: state.pid }),
    ...(state.corrupt === undefined ? {} : { corrupt: state.corrupt }),
  }
}

function parseCommand(text: string | undefined): string[] {
  try {
    const command: unknown = JSON.parse(text ?? '[]')
    return Array.isArray(command) ? command.map(String) : []
  } catch {
    return []
  }
}
