import { createInterface } from 'node:readline'
import { nativeFs } from '@cromwell/ns-native'
import { applyLayerFile, flattenLayers, removeTree } from '@cromwell/rootfs'
import { packError, type UnpackAnswer, type UnpackJob } from './unpack-job.ts'

// A program of its own, because only a process inside the user namespace can give files to the ids
// of a container. Reads jobs from stdin, writes answers to stdout, ends with its input.

const PROGRESS_INTERVAL_MS = 100

for await (const line of createInterface({ input: process.stdin })) {
  await answer(JSON.parse(line) as UnpackJob) // our own engine wrote it
}

async function answer(job: UnpackJob): Promise<void> {
  try {
    const result = await perform(job)
    send({ type: 'done', ...(result === undefined ? {} : { result }) })
  } catch (error) {
    send({ type: 'failed', error: packError(error) })
  }
}

async function perform(job: UnpackJob) {
  switch (job.kind) {
    case 'apply': {
      const { kind: _kind, ownership, ...rest } = job
      return await applyLayerFile(
        { ...rest, onProgress: throttled() },
        { ownership, native: nativeFs },
      )
    }
    case 'flatten':
      return flattenLayers(job.lowerDirs, job.target, {
        ownership: job.ownership,
        native: nativeFs,
      })
    case 'remove':
      removeTree(job.path)
      return undefined
  }
}

function throttled(): (progress: { readBytes: number; entries: number }) => void {
  let last = 0
  return ({ readBytes, entries }) => {
    const now = performance.now()
    if (now - last < PROGRESS_INTERVAL_MS) return
    last = now
    send({ type: 'progress', readBytes, entries })
  }
}

function send(message: UnpackAnswer): void {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}
