import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { type IdMappingPlan, type MappedProcess, spawnMapped } from '@cromwell/ns-native'
import { RootfsError, type RootfsErrorCode } from '@cromwell/rootfs'
import { EngineError } from './errors.ts'
import type { TransportedError, UnpackAnswer, UnpackJob } from './unpack-job.ts'

/** A worker that does jobs one after the other, with the ids of the containers. */
export interface UnpackProcess {
  /** Throws RootfsError, EngineError ERR_ENGINE_WORKER, or the signal's reason. */
  perform(job: UnpackJob, options?: PerformOptions): Promise<Result>
  /** Let it end. To be called once, after the last job. */
  close(): Promise<void>
}

/** What belongs to one job. */
export interface PerformOptions {
  signal?: AbortSignal | undefined
  onProgress?: ((progress: { readBytes: number; entries: number }) => void) | undefined
}

type Result = Extract<UnpackAnswer, { type: 'done' }>['result']

/** Start a worker with an id mapping. Throws NamespaceError. */
export async function startUnpackProcess(idMapping: IdMappingPlan): Promise<UnpackProcess> {
  // Found by its name, so that it is also found from a bundle into which this file was copied.
  const script = createRequire(import.meta.url).resolve('@cromwell/engine/unpack-worker')
  const program = await spawnMapped(idMapping, process.execPath, [script], { env: {}, cwd: '/' })
  const ended = describeEnd(program)
  let complaints = ''
  program.stderr.setEncoding('utf8')
  program.stderr.on('data', (text: string) => {
    complaints = (complaints + text).slice(-2000)
  })
  program.stdin.on('error', () => {}) // it is gone; the answer that does not come says so
  const answers = createInterface({ input: program.stdout })[Symbol.asyncIterator]()

  return {
    async perform(job, { signal, onProgress } = {}) {
      signal?.throwIfAborted()
      const abort = () => program.kill('SIGKILL')
      signal?.addEventListener('abort', abort, { once: true })
      try {
        program.stdin.write(`${JSON.stringify(job)}\n`)
        for (;;) {
          const { value: line, done } = await answers.next()
          if (done === true) break
          const answer = JSON.parse(line) as UnpackAnswer // our own worker wrote it
          if (answer.type === 'done') return answer.result
          if (answer.type === 'failed') throw unpackError(answer.error)
          onProgress?.(answer)
        }
        signal?.throwIfAborted()
        throw workerError(await ended, complaints)
      } finally {
        signal?.removeEventListener('abort', abort)
      }
    },
    async close() {
      program.stdin.end()
      await ended
    },
  }
}

function describeEnd(worker: MappedProcess): Promise<string> {
  return worker.wait().then(
    ({ exitCode, signal }) => signal ?? `exit status ${exitCode}`,
    (error: unknown) => String(error),
  )
}

function unpackError(error: TransportedError): Error {
  if (error.name === 'RootfsError') {
    return new RootfsError(error.code as RootfsErrorCode, error.message, error) // one before it was sent
  }
  return new EngineError('ERR_ENGINE_WORKER', `cannot unpack: ${error.message}`, error)
}

function workerError(ending: string, complaints: string): EngineError {
  const last = complaints.trim().split('\n').at(-1) ?? ''
  const why = last === '' ? ending : `${ending}: ${last}`
  return new EngineError('ERR_ENGINE_WORKER', `the process that unpacks layers ended: ${why}`)
}
