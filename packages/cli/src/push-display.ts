import type { PushEvent } from '@cromwell/registry'
import { parseReference } from '@cromwell/registry/reference'
import type { ProgressReporter } from './progress-reporter.ts'

/** What is pushed where. */
export interface PushStart {
  destination: string
  /** Base first. */
  layers: ReadonlyArray<{ digest: string; size: number }>
}

/**
 * Show a push in docker's words: where to, each layer, and what the name stands for in the end.
 * Returns what takes the events.
 */
export function createPushDisplay(
  reporter: ProgressReporter,
  { destination, layers }: PushStart,
): (event: PushEvent) => void {
  const { registry, repository, tag } = parseReference(destination)
  const open = new Set(layers.map(({ digest }) => digest))
  let manifest: { digest: string; size: number } | undefined
  reporter.line(`The push refers to repository [${registry}/${repository}]`)
  reporter.event({ type: 'push-prepare', layers })
  return (event) => {
    switch (event.type) {
      case 'resolved':
        manifest = event.descriptor
        break
      case 'blob-start':
        reporter.event({ type: 'push-layer-start', digest: event.digest, size: event.size })
        break
      case 'blob-progress':
        reporter.event({ type: 'push-layer-progress', digest: event.digest, sent: event.received })
        break
      case 'blob-done':
        open.delete(event.digest)
        reporter.event({
          type: 'push-layer-done',
          digest: event.digest,
          status: STATUS[event.outcome],
        })
        break
      case 'blob-retry':
        reporter.event({ ...event, type: 'layer-retry' })
        break
      case 'done':
        // Below a manifest that the registry has nothing is looked at.
        for (const digest of open) {
          reporter.event({ type: 'push-layer-done', digest, status: STATUS.exists })
        }
        reporter.end()
        reporter.line(`${tag ?? repository}: digest: ${event.digest} size: ${manifest?.size ?? 0}`)
        break
      default: // warnings come as events of the engine, too
    }
  }
}

const STATUS = {
  exists: 'Layer already exists',
  mounted: 'Mounted from another repository',
  stored: 'Pushed',
} as const
