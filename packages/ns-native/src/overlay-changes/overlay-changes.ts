import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { packageDirectory } from '../binding.ts'
import { NamespaceError } from '../errors.ts'
import type { IdMappingPlan, OverlaySpec } from '../launch-spec.ts'
import { type MappedProcess, spawnMapped } from '../spawn-mapped.ts'
import type { Applied } from './apply-changes.ts'
import type { OverlayChange } from './change.ts'
import type { WorkerAnswer, WorkerJob } from './worker-protocol.ts'

/** What the functions on an overlay's changes take. */
export interface OverlayChangesOptions {
  /** The container's: its files belong to ids that only its user namespace has power over. Left out, the caller's own ids. */
  idMapping?: IdMappingPlan
  /** `trusted` for an overlay mounted without `userxattr`, which only real root can read. Default `user`. */
  marks?: 'user' | 'trusted'
  signal?: AbortSignal
}

/**
 * What was changed in an overlay, against the layers that it lies on. The container should have ended:
 * otherwise what it does meanwhile may or may not show. Reading is done by a process with the container's
 * ids, for the price of starting Node; this one is never blocked. Leaving the loop early ends it.
 * Throws ERR_NS_OVERLAY, and what `launch` throws.
 */
export async function* overlayChanges(
  overlay: Pick<OverlaySpec, 'upperDir' | 'lowerDirs'>,
  options: OverlayChangesOptions = {},
): AsyncGenerator<OverlayChange, void, undefined> {
  const { upperDir, lowerDirs } = overlay
  const { marks = 'user' } = options
  const job = { kind: 'read', overlay: { upperDir, lowerDirs, marks } } as const
  for await (const answer of answers(job, options)) {
    if (answer.type !== 'change') continue
    const { change, rawPath } = answer
    yield rawPath === undefined ? change : { ...change, rawPath: Buffer.from(rawPath, 'base64') }
  }
}

/**
 * Make the changes of an overlay in a directory, which is then what the overlay shows if it was the only
 * layer below. Files are replaced, never written into, and no link is followed, so whatever stands
 * there: nothing outside of it is touched. The upper directory stays as it is; applying again does no
 * harm, and completes what was interrupted. Throws like {@link overlayChanges}.
 */
export async function applyChanges(
  overlay: Pick<OverlaySpec, 'upperDir'>,
  to: string,
  options: OverlayChangesOptions = {},
): Promise<Applied> {
  const { marks = 'user' } = options
  return await resultOf({ kind: 'apply', upperDir: overlay.upperDir, to, marks }, options)
}

/**
 * Empty the upper and work directory, so that the overlay is what it lies on again. To be done while
 * it is not mounted. Throws like {@link overlayChanges}.
 */
export async function discardChanges(
  overlay: Pick<OverlaySpec, 'upperDir' | 'workDir'>,
  options: OverlayChangesOptions = {},
): Promise<void> {
  await resultOf({ kind: 'discard', directories: [overlay.upperDir, overlay.workDir] }, options)
}

async function resultOf(job: WorkerJob, options: OverlayChangesOptions): Promise<Applied> {
  for await (const answer of answers(job, options)) {
    if (answer.type === 'done') return answer.applied
  }
  throw new NamespaceError('ERR_NS_OVERLAY', `cannot ${job.kind} the changes: no answer`)
}

/** The answers of a worker, up to and with the last one; throws where that is a failure. */
async function* answers(
  job: WorkerJob,
  { idMapping, signal }: OverlayChangesOptions,
): AsyncGenerator<WorkerAnswer, void, undefined> {
  signal?.throwIfAborted()
  const program = join(packageDirectory(), 'dist', 'overlay-changes', 'worker.js')
  const worker = await spawnMapped(idMapping ?? OWN_IDS, process.execPath, [program], {
    env: {},
    cwd: '/',
    ...(signal === undefined ? {} : { signal }),
  })
  const complaints = collectEnd(worker)
  try {
    worker.stdin.on('error', () => {}) // it is gone; the answer that does not come says so
    worker.stdin.end(JSON.stringify(job))
    for await (const line of createInterface({ input: worker.stdout })) {
      const answer = JSON.parse(line) as WorkerAnswer // our own worker wrote it
      if (answer.type === 'failed') throw failure(job, answer.error)
      yield answer
      if (answer.type === 'done') return
    }
    signal?.throwIfAborted()
    const why = await complaints
    throw failure(job, { message: why === '' ? 'the process that does it ended' : why })
  } finally {
    worker.kill('SIGKILL')
    await worker.wait().catch(() => {})
  }
}

/** Nothing to map: the caller's ids, in no namespace of their own. */
const OWN_IDS: IdMappingPlan = { kind: 'identity', uidMappings: [], gidMappings: [], key: 'own' }

async function collectEnd(worker: MappedProcess): Promise<string> {
  let text = ''
  worker.stderr.setEncoding('utf8')
  for await (const chunk of worker.stderr) text = (text + chunk).slice(-2000)
  return text.trim().split('\n').at(-1) ?? ''
}

function failure(
  job: WorkerJob,
  { message, ...facts }: Extract<WorkerAnswer, { type: 'failed' }>['error'],
): NamespaceError {
  const what = `${job.kind} the changes of an overlay`
  return new NamespaceError('ERR_NS_OVERLAY', `cannot ${what}: ${message}`, facts)
}
