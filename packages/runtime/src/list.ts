import type { PidEntry } from '@cromwell/pidstore'
import { assertContainerId } from './container-id.ts'
import { type ContainerState, findState, type Records } from './container-state.ts'
import { RuntimeError } from './errors.ts'
import { discard, readNames, sweep } from './removal.ts'

/** What became of a container. Throws RuntimeError ERR_RUNTIME_ID or ERR_RUNTIME_NOT_FOUND. */
export function getState(records: Records, id: string): ContainerState {
  assertContainerId(id)
  const found = findState(records, id, records.pids.getSync(id))
  if (found.kind === 'container') return found.state
  throw new RuntimeError('ERR_RUNTIME_NOT_FOUND', `no container has the id ${id}`, { id })
}

/**
 * All containers that run, or with `all` every one. What crashes left is swept on the way; not
 * being able to is no reason to fail.
 */
export async function listStates(
  records: Records,
  { all = false }: { all?: boolean } = {},
): Promise<ContainerState[]> {
  // Directories first: a container that appears later is simply not part of the answer.
  const names = all ? readNames(records.root) : []
  const entries = new Map(records.pids.listSync().map((entry) => [entry.id, entry]))
  const states: ContainerState[] = []
  for (const id of candidates(names, entries, all)) {
    const found = findState(records, id, entries.get(id))
    if (found.kind === 'container') states.push(found.state)
    else if (names.includes(id)) await discard(records.root, id, records.removeTree).catch(() => {})
  }
  await sweep(records.root, names, records.removeTree)
  const hasExited = [...entries.values()].some(({ state }) => state === 'exited')
  // A leading dot is what a killed writer of a pid file leaves; it may also be one at work.
  const hasDotFile = all && readNames(records.pids.directory).some((name) => name.startsWith('.'))
  if (hasExited || hasDotFile) await records.pids.sweep().catch(() => {})
  return states
}

/** What cannot be believed counts as no sign of life, so only `all` has it. */
function candidates(
  names: readonly string[],
  entries: Map<string, PidEntry>,
  all: boolean,
): Set<string> {
  const ids = new Set(names.filter((name) => !name.startsWith('.')))
  for (const { id, state } of entries.values()) {
    if (state === 'running' || state === 'elsewhere' || (all && state === 'corrupt')) ids.add(id)
  }
  return ids
}
