/** What a pull tells about itself; the events of `@cromwell/registry`'s `pull` have this shape. */
export type ProgressEvent =
  | { type: 'resolved'; layers: ReadonlyArray<{ digest: string; size: number }> }
  | { type: 'layer-exists'; digest: string }
  | { type: 'layer-waiting'; digest: string }
  | { type: 'layer-start'; digest: string; size: number; offset: number }
  | { type: 'layer-progress'; digest: string; received: number; size: number }
  | { type: 'layer-verify'; digest: string }
  | { type: 'layer-done'; digest: string }
  | { type: 'layer-retry'; digest: string; attempt: number; delayMs: number; reason: string }

/** The words of docker for the states of a layer. */
export type LayerStatus =
  | 'Pulling fs layer'
  | 'Waiting'
  | 'Downloading'
  | 'Verifying Checksum'
  | 'Pull complete'
  | 'Already exists'
  | `Retrying in ${number} second${'' | 's'}`

/** How far a layer is. */
export interface LayerProgress {
  /** The first 12 hexadecimal digits of the digest. */
  label: string
  status: LayerStatus
  /** Why the last attempt failed, while the next one is waited for. */
  reason?: string
  /** Bytes here and bytes in all; meaningful while downloading. */
  received: number
  size: number
  /** When and with how many bytes (resumed downloads start in the middle) this attempt began. */
  startedAt: number
  offset: number
}

/** The layers of one pull by digest, in the image's order, base first. */
export type PullProgress = Map<string, LayerProgress>

/** Whether nothing more happens to a layer. */
export function isFinished(layer: LayerProgress): boolean {
  return layer.status === 'Pull complete' || layer.status === 'Already exists'
}

/** Take in an event at time `now` (milliseconds); returns the layers whose status changed. */
export function advance(
  progress: PullProgress,
  event: ProgressEvent,
  now: number,
): LayerProgress[] {
  if (event.type === 'resolved') return begin(progress, event.layers)
  const layer = progress.get(event.digest)
  if (layer === undefined) return []
  const before = layer.status
  update(layer, event, now)
  return layer.status === before ? [] : [layer]
}

function begin(
  progress: PullProgress,
  layers: ReadonlyArray<{ digest: string; size: number }>,
): LayerProgress[] {
  progress.clear()
  for (const { digest, size } of layers) {
    const label = digest.replace(/^[^:]*:/, '').slice(0, 12)
    const status = 'Pulling fs layer'
    progress.set(digest, { label, status, received: 0, size, startedAt: 0, offset: 0 })
  }
  return [...progress.values()]
}

function update(
  layer: LayerProgress,
  event: Exclude<ProgressEvent, { type: 'resolved' }>,
  now: number,
): void {
  delete layer.reason
  switch (event.type) {
    case 'layer-exists':
      layer.status = 'Already exists'
      break
    case 'layer-waiting':
      layer.status = 'Waiting'
      break
    case 'layer-start':
      layer.status = 'Downloading'
      layer.size = event.size
      layer.received = event.offset
      layer.offset = event.offset
      layer.startedAt = now
      break
    case 'layer-progress':
      layer.status = 'Downloading'
      layer.received = event.received
      break
    case 'layer-verify':
      layer.status = 'Verifying Checksum'
      break
    case 'layer-done':
      layer.status = 'Pull complete'
      break
    case 'layer-retry':
      layer.status = retrying(event.delayMs)
      layer.reason = event.reason
      break
  }
}

function retrying(delayMs: number): LayerStatus {
  const seconds = Math.max(1, Math.round(delayMs / 1000))
  return seconds === 1 ? 'Retrying in 1 second' : `Retrying in ${seconds} seconds`
}
