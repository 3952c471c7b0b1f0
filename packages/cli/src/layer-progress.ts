/** What is told about layers while they are fetched and unpacked; the engine's events have this shape. */
export type ProgressEvent =
  | { type: 'resolved'; layers: ReadonlyArray<{ digest: string; size: number }> }
  | { type: 'layer-exists'; digest: string }
  | { type: 'layer-waiting'; digest: string }
  | { type: 'layer-start'; digest: string; size: number; offset: number }
  | { type: 'layer-progress'; digest: string; received: number; size: number }
  | { type: 'layer-verify'; digest: string }
  | { type: 'layer-done'; digest: string }
  | { type: 'layer-retry'; digest: string; attempt: number; delayMs: number; reason: string }
  | { type: 'push-prepare'; layers: ReadonlyArray<{ digest: string; size: number }> }
  | { type: 'push-layer-start'; digest: string; size: number }
  | { type: 'push-layer-progress'; digest: string; sent: number }
  | { type: 'push-layer-done'; digest: string; status: PushedStatus }
  | { type: 'unpack-start'; digest: string; size: number }
  | { type: 'unpack-progress'; digest: string; bytes: number; size: number }
  | { type: 'unpack-done'; digest: string }

/** What can come of pushing a layer. */
export type PushedStatus = 'Pushed' | 'Layer already exists' | `Mounted from ${string}`

/** The words of docker for the states of a layer. */
export type LayerStatus =
  | 'Preparing'
  | 'Pushing'
  | PushedStatus
  | 'Pulling fs layer'
  | 'Waiting'
  | 'Downloading'
  | 'Verifying Checksum'
  | 'Pull complete'
  | 'Already exists'
  | 'Extracting'
  | 'Extracted'
  | `Retrying in ${number} second${'' | 's'}`

/** How far a layer is. */
export interface LayerProgress {
  /** The first 12 hexadecimal digits of the digest. */
  label: string
  status: LayerStatus
  /** Why the last attempt failed, while the next one is waited for. */
  reason?: string
  /** Bytes done and bytes in all, of the download or of the unpacking. */
  done: number
  size: number
  /** When and with how many bytes (resumed downloads start in the middle) this stage began. */
  startedAt: number
  offset: number
}

/** Layers by digest, in the image's order, base first. */
export type LayersProgress = Map<string, LayerProgress>

/** Whether nothing more happens to a layer. */
export function isFinished(layer: LayerProgress): boolean {
  return FINISHED.has(layer.status) || layer.status.startsWith('Mounted from ')
}

const FINISHED: ReadonlySet<LayerStatus> = new Set([
  'Pull complete',
  'Already exists',
  'Extracted',
  'Pushed',
  'Layer already exists',
])

/** Take in an event at time `now` (milliseconds); returns the layers whose status changed. */
export function advance(
  progress: LayersProgress,
  event: ProgressEvent,
  now: number,
): LayerProgress[] {
  if (event.type === 'resolved') return begin(progress, event.layers, 'Pulling fs layer')
  if (event.type === 'push-prepare') return begin(progress, event.layers, 'Preparing')
  if (event.type === 'unpack-start') add(progress, event, 'Pulling fs layer')
  const layer = progress.get(event.digest)
  if (layer === undefined) return []
  const before = layer.status
  update(layer, event, now)
  return layer.status === before ? [] : [layer]
}

function begin(
  progress: LayersProgress,
  layers: ReadonlyArray<{ digest: string; size: number }>,
  status: LayerStatus,
): LayerProgress[] {
  progress.clear()
  for (const layer of layers) add(progress, layer, status)
  return [...progress.values()]
}

function add(
  progress: LayersProgress,
  { digest, size }: { digest: string; size: number },
  status: LayerStatus,
): void {
  const label = digest.replace(/^[^:]*:/, '').slice(0, 12)
  progress.set(digest, {
    label,
    status,
    done: 0,
    size,
    startedAt: 0,
    offset: 0,
  })
}

function update(
  layer: LayerProgress,
  event: Exclude<ProgressEvent, { type: 'resolved' | 'push-prepare' }>,
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
      beginStage(layer, 'Downloading', { now, offset: event.offset, size: event.size })
      break
    case 'layer-progress':
      layer.status = 'Downloading'
      layer.done = event.received
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
    case 'push-layer-start':
      beginStage(layer, 'Pushing', { now, offset: 0, size: event.size })
      break
    case 'push-layer-progress':
      layer.status = 'Pushing'
      layer.done = event.sent
      break
    case 'push-layer-done':
      layer.status = event.status
      break
    case 'unpack-start':
      beginStage(layer, 'Extracting', { now, offset: 0, size: event.size })
      break
    case 'unpack-progress':
      layer.status = 'Extracting'
      layer.done = event.bytes
      break
    case 'unpack-done':
      layer.status = 'Extracted'
      break
  }
}

function beginStage(
  layer: LayerProgress,
  status: LayerStatus,
  { now, offset, size }: { now: number; offset: number; size: number },
): void {
  layer.status = status
  layer.size = size
  layer.done = offset
  layer.offset = offset
  layer.startedAt = now
}

function retrying(delayMs: number): LayerStatus {
  const seconds = Math.max(1, Math.round(delayMs / 1000))
  return seconds === 1 ? 'Retrying in 1 second' : `Retrying in ${seconds} seconds`
}
