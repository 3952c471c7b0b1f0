import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { type IdMappingPlan, spawnMapped } from '@cromwell/ns-native'
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

/** What both ways to start the worker come to. */
interface Program {
  stdin: Writable
  stdout: Readable
  stderr: Readable
  ended: Promise<string>
  kill(): void
}

/**
 * Start a worker: inside the user namespace of the mapping where that has more than one id of
 * somebody else's, as an ordinary child elsewhere.
 */
export async function startUnpackProcess(idMapping: IdMappingPlan): Promise<UnpackProcess> {
  // Found by its name, so that it is also found from a bundle into which this file was copied.
  const script = createRequire(import.meta.url).resolve('@cromwell/engine/unpack-worker')
  const program = await startProgram(idMapping, script)
  let complaints = ''
  program.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints = (complaints + text).slice(-2000)
  })
  program.stdin.on('error', () => {}) // it is gone; the answer that does not come says so
  const answers = createInterface({ input: program.stdout })[Symbol.asyncIterator]()

  return {
    async perform(job, { signal, onProgress } = {}) {
      signal?.throwIfAborted()
      const abort = () => program.kill()
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
        throw workerError(await program.ended, complaints)
      } finally {
        signal?.removeEventListener('abort', abort)
      }
    },
    async close() {
      program.stdin.end()
      await program.ended
    },
  }
}

async function startProgram(idMapping: IdMappingPlan, script: string): Promise<Program> {
  if (idMapping.kind === 'subid') return startMapped(idMapping, script)
  const child = spawn(process.execPath, [script], { env: {}, stdio: ['pipe', 'pipe', 'pipe'] })
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code, signal) => resolve(signal ?? `exit status ${code}`))
  })
  const { stdin, stdout, stderr } = child
  return { stdin, stdout, stderr, ended, kill: () => child.kill('SIGKILL') }
}

async function startMapped(idMapping: IdMappingPlan, script: string): Promise<Program> {
  const child = await spawnMapped(idMapping, process.execPath, [script], {
    env: [],
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const { stdin, stdout, stderr } = child
  const ended = child.wait().then(
    ({ exitCode, signal }) => signal ?? `exit status ${exitCode}`,
    (error: unknown) => String(error),
  )
  return { stdin, stdout, stderr, ended, kill: () => child.kill('SIGKILL') }
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
