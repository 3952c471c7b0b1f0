import { NamespaceError } from '../errors.ts'
import { applyUpper } from './apply-changes.ts'
import type { OverlayChange } from './change.ts'
import { Directory, using } from './directory.ts'
import { readChanges } from './read-changes.ts'
import type { WorkerAnswer, WorkerJob } from './worker-protocol.ts'

// A program of its own, because only a process in the container's user namespace may read and make
// files of its ids. Reads one job from stdin, writes answers to stdout, one a line, and ends.

let input = ''
for await (const chunk of process.stdin.setEncoding('utf8')) input += chunk
process.umask(0)
try {
  perform(JSON.parse(input) as WorkerJob) // our own package wrote it
} catch (error) {
  send({ type: 'failed', error: describe(error) })
}

function perform(job: WorkerJob): void {
  let applied = { written: 0, removed: 0 }
  switch (job.kind) {
    case 'read':
      for (const change of readChanges(job.overlay)) sendChange(change)
      break
    case 'apply':
      applied = applyUpper(job.upperDir, job.to, job.marks)
      break
    case 'discard':
      for (const path of job.directories) using(Directory.open(path), (top) => top.clear())
  }
  send({ type: 'done', applied })
}

function sendChange({ rawPath, ...change }: OverlayChange): void {
  const raw = rawPath === undefined ? {} : { rawPath: Buffer.from(rawPath).toString('base64') }
  send({ type: 'change', change, ...raw })
}

// To a pipe, which Node writes to at once: who reads slowly makes us wait.
function send(answer: WorkerAnswer): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}

function describe(error: unknown): Extract<WorkerAnswer, { type: 'failed' }>['error'] {
  if (!(error instanceof Error)) return { message: String(error) }
  const { errno, syscall, path } = error as NodeJS.ErrnoException // if it is none they are undefined
  return {
    message: error.message,
    ...(errno === undefined ? {} : { errno: Math.abs(errno) }),
    ...(syscall === undefined ? {} : { syscall }),
    ...(path === undefined ? {} : { path: String(path) }),
    ...(error instanceof NamespaceError && error.hint !== undefined ? { hint: error.hint } : {}),
  }
}
