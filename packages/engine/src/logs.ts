import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { EngineContext } from './context.ts'
import { EngineError } from './errors.ts'
import { findContainer } from './find-container.ts'

/** A piece of output: a line with its newline, or a part of a long one. */
export interface LogEntry {
  /** RFC 3339, with nanoseconds. */
  time: string
  stream: 'stdout' | 'stderr'
  /** As it was written; need not be text. */
  content: Buffer
}

/** What to read of a log. */
export interface LogOptions {
  /** Go on until the container ends. */
  follow?: boolean
  signal?: AbortSignal
}

const POLL_MS = 100

/**
 * What a container has written, oldest first. Throws EngineError ERR_ENGINE_CONTAINER_NOT_FOUND,
 * ERR_ENGINE_AMBIGUOUS, ERR_ENGINE_NO_LOG.
 */
export async function* readLogs(
  { home, runtime }: EngineContext,
  container: string,
  { follow = false, signal }: LogOptions = {},
): AsyncGenerator<LogEntry> {
  const id = findContainer(home, container)
  const file = await openLog(join(home.containers, id, 'log'), container)
  const isRunning = async () => {
    const state = await runtime.state(id).catch(() => undefined)
    return state?.status === 'running'
  }
  try {
    let rest = Buffer.alloc(0)
    for (;;) {
      signal?.throwIfAborted()
      const goOn = follow && (await isRunning()) // asked before reading: what comes last is read too
      for await (const chunk of readToEnd(file)) {
        const lines = splitLines(Buffer.concat([rest, chunk]))
        rest = lines.rest
        for (const line of lines.complete) yield* parseLogLine(line)
      }
      if (!goOn) return
      await delay(POLL_MS, undefined, { signal })
    }
  } finally {
    await file.close()
  }
}

async function openLog(path: string, container: string): Promise<FileHandle> {
  try {
    return await open(path)
  } catch (cause) {
    throw new EngineError('ERR_ENGINE_NO_LOG', `container ${container} has no log`, {
      path,
      cause,
      hint: 'a container that removes itself when it ends and runs in the foreground keeps none',
    })
  }
}

async function* readToEnd(file: FileHandle): AsyncGenerator<Buffer> {
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(64 * 1024))
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
  }
}

function splitLines(bytes: Buffer): { complete: Buffer[]; rest: Buffer<ArrayBuffer> } {
  const complete: Buffer[] = []
  let start = 0
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
    complete.push(bytes.subarray(start, end))
    start = end + 1
  }
  return { complete, rest: Buffer.from(bytes.subarray(start)) }
}

/**
 * One line of the Kubernetes CRI log format: `time stream tag content`, where the tag is `F` for a
 * whole line and `P` for a part of one. Anything else is left out: a crash may have cut it off.
 */
export function parseLogLine(line: Buffer): LogEntry[] {
  const head = /^(\S{20,40}) (stdout|stderr) ([FP]) /.exec(line.toString('latin1', 0, 64))
  const [matched, time, stream, tag] = head ?? []
  if (matched === undefined || time === undefined) return []
  const content = line.subarray(matched.length)
  return [
    {
      time,
      stream: stream === 'stderr' ? 'stderr' : 'stdout',
      content: tag === 'F' ? Buffer.concat([content, Buffer.from('\n')]) : content,
    },
  ]
}
