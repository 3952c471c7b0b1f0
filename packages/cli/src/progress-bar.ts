import { formatRemaining } from './duration.ts'
import { isFinished, type LayerProgress } from './layer-progress.ts'
import { formatSize } from './size.ts'
import { printable } from './table.ts'

/** The states in which bytes are counted. */
const MOVING: ReadonlySet<string> = new Set(['Downloading', 'Extracting', 'Pushing'])
const BAR_WIDTH = 50
const NARROWEST_BAR = 10
/** Label, `: Downloading `, brackets, `123.4MB/123.4MB` and the remaining time. */
const BESIDE_THE_BAR = 54
/** A rate measured over less than this says nothing about the rest. */
const SETTLING_MS = 1000

/** What the layers look like on a terminal: one line each, none wider than the terminal. */
export function progressLines(
  layers: readonly LayerProgress[],
  terminal: { columns: number; rows: number },
  now: number,
): string[] {
  const room = Math.max(1, terminal.rows - 2)
  if (layers.length <= room) return layers.map((layer) => layerLine(layer, terminal.columns, now))
  return crowded(layers, room - 1).map((layer) =>
    typeof layer === 'string'
      ? layer.slice(0, terminal.columns - 1)
      : layerLine(layer, terminal.columns, now),
  )
}

/** One layer, e.g. `c926b61bad3b: Downloading [====>     ]  1.2MB/3.4MB 5s`. */
export function layerLine(layer: LayerProgress, columns: number, now: number): string {
  const words = [`${layer.label}: ${layer.status}`]
  if (MOVING.has(layer.status)) words.push(bar(layer, columns), amounts(layer, now))
  if (layer.reason !== undefined) words.push(`(${printable(layer.reason)})`)
  const line = words.filter((word) => word !== '').join(' ')
  return line.slice(0, Math.max(1, columns - 1)).trimEnd()
}

function bar({ done, size }: LayerProgress, columns: number): string {
  const width = Math.min(BAR_WIDTH, columns - BESIDE_THE_BAR)
  if (width < NARROWEST_BAR || size <= 0) return ''
  const filled = Math.min(width, Math.floor((done / size) * width))
  const tip = filled < width ? '>' : ''
  return `[${'='.repeat(filled)}${tip}${' '.repeat(Math.max(0, width - filled - 1))}]`
}

function amounts(layer: LayerProgress, now: number): string {
  const { done, size } = layer
  const both = `${formatSize(done).padStart(8)}/${formatSize(size)}`
  const remaining = remainingMs(layer, now)
  return remaining === undefined ? both : `${both} ${formatRemaining(remaining)}`
}

function remainingMs(layer: LayerProgress, now: number): number | undefined {
  const elapsed = now - layer.startedAt
  const fetched = layer.done - layer.offset
  if (elapsed < SETTLING_MS || fetched <= 0 || layer.done >= layer.size) return undefined
  return ((layer.size - layer.done) / fetched) * elapsed
}

/**
 * More layers than rows: those at work first, in the image's order, and one line that counts the rest.
 * What scrolled off the screen could not be redrawn.
 */
function crowded(layers: readonly LayerProgress[], room: number): Array<LayerProgress | string> {
  const atWork = layers.filter((layer) => !isFinished(layer) && layer.status !== 'Waiting')
  const shown = new Set(atWork.slice(0, room))
  for (const layer of layers.toReversed()) if (shown.size < room) shown.add(layer)
  const others = layers.filter((layer) => !shown.has(layer))
  const finished = others.filter(isFinished).length
  const summary = `… and ${others.length} more layers, ${finished} of them complete`
  return [...layers.filter((layer) => shown.has(layer)), summary]
}
