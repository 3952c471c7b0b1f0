import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { containerFiles } from './container-files.ts'
import type { Records } from './container-state.ts'
import { RuntimeError } from './errors.ts'
import { getState } from './list.ts'
import { discard } from './removal.ts'

/** How long a container may take to vanish after SIGKILL; only uninterruptible sleep takes longer. */
const KILL_TIMEOUT_MS = 10_000
/** How long the monitor may take from the container's end to the exit record. */
const MONITOR_TIMEOUT_MS = 1_000

/** Signal a running container. Throws RuntimeError ERR_RUNTIME_NOT_FOUND or ERR_RUNTIME_NOT_RUNNING. */
export async function signalContainer(
  records: Records,
  id: string,
  signal: NodeJS.Signals | number,
): Promise<void> {
  if (await records.pids.signal(id, signal)) return
  const state = getState(records, id)
  const why = state.elsewhere === undefined ? 'it is not running' : state.elsewhere
  throw new RuntimeError('ERR_RUNTIME_NOT_RUNNING', `cannot signal container ${id}: ${why}`, { id })
}

/**
 * Remove a container that has ended, or with `force` any. Throws RuntimeError ERR_RUNTIME_NOT_FOUND,
 * ERR_RUNTIME_RUNNING, ERR_RUNTIME_TIMEOUT or ERR_RUNTIME_STATE.
 */
export async function deleteContainer(
  records: Records,
  id: string,
  { force = false }: { force?: boolean } = {},
): Promise<void> {
  const { status, elsewhere } = getState(records, id)
  if (elsewhere !== undefined || (status !== 'stopped' && !force)) {
    const why = elsewhere ?? (status === 'creating' ? 'it is being created' : 'it is running')
    throw new RuntimeError('ERR_RUNTIME_RUNNING', `cannot remove container ${id}: ${why}`, {
      id,
      ...(elsewhere === undefined ? { hint: 'stop it first, or force its removal' } : {}),
    })
  }
  if (status === 'running') await killAndWait(records, id)
  await discard(records.root, id, records.removeTree)
  await records.pids.remove(id)
}

async function killAndWait(records: Records, id: string): Promise<void> {
  await records.pids.signal(id, 'SIGKILL')
  await until(KILL_TIMEOUT_MS, () => records.pids.getSync(id)?.state !== 'running').catch(() => {
    throw new RuntimeError('ERR_RUNTIME_TIMEOUT', `container ${id} did not end after SIGKILL`, {
      id,
      hint: 'a process in uninterruptible sleep ends only when its input or output does',
    })
  })
  // The monitor is about to write its records; when it was killed too there is nothing to wait for.
  const { directory } = containerFiles(records.root, id)
  const settled = () => records.pids.getSync(id) === undefined || !existsSync(directory)
  await until(MONITOR_TIMEOUT_MS, settled).catch(() => {})
}

async function until(timeoutMs: number, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + timeoutMs
  for (let pauseMs = 1; !condition(); pauseMs = Math.min(pauseMs * 2, 50)) {
    if (Date.now() > deadline) throw new Error('timed out')
    await delay(pauseMs)
  }
}
