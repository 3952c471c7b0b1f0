import { setTimeout as delay } from 'node:timers/promises'
import { RuntimeError } from '@cromwell/runtime'
import { ANNOTATIONS } from './annotations.ts'
import type { EngineContext } from './context.ts'
import { findContainer } from './find-container.ts'
import { parseSignal } from './signal.ts'

/** How a container is stopped. */
export interface StopOptions {
  /** How long it may take after its stop signal before it is killed. Default 10,000 ms. */
  timeoutMs?: number
  signal?: AbortSignal
}

const SIGTERM = 15

/**
 * Ask a container to end with its image's stop signal, and after the timeout make it. Resolves when
 * it has ended; one that has ended already is left as it is.
 * Throws EngineError ERR_ENGINE_CONTAINER_NOT_FOUND, ERR_ENGINE_AMBIGUOUS.
 */
export async function stopContainer(
  context: EngineContext,
  container: string,
  { timeoutMs = 10_000, signal }: StopOptions = {},
): Promise<void> {
  const id = findContainer(context.home, container)
  const { annotations } = await context.runtime.state(id)
  const stopSignal = parseSignal(annotations[ANNOTATIONS.stopSignal] ?? '') ?? SIGTERM
  if (!(await sendSignal(context, id, stopSignal))) return
  if (await hasEnded(context, id, { timeoutMs, signal })) return
  await sendSignal(context, id, 'SIGKILL')
  await hasEnded(context, id, { timeoutMs: 10_000, signal })
}

async function sendSignal(
  { runtime }: EngineContext,
  id: string,
  signal: NodeJS.Signals | number,
): Promise<boolean> {
  try {
    await runtime.kill(id, signal)
    return true
  } catch (error) {
    if (isGone(error)) return false
    throw error
  }
}

async function hasEnded(
  { runtime }: EngineContext,
  id: string,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal | undefined },
): Promise<boolean> {
  const deadline = Date.now() + timeoutMs
  for (let pauseMs = 2; ; pauseMs = Math.min(pauseMs * 2, 100)) {
    try {
      if ((await runtime.state(id)).status !== 'running') return true
    } catch (error) {
      if (isGone(error)) return true
      throw error
    }
    if (Date.now() >= deadline) return false
    await delay(Math.min(pauseMs, Math.max(1, deadline - Date.now())), undefined, { signal })
  }
}

function isGone(error: unknown): boolean {
  if (!(error instanceof RuntimeError)) return false
  return error.code === 'ERR_RUNTIME_NOT_RUNNING' || error.code === 'ERR_RUNTIME_NOT_FOUND'
}
