import {
  advance,
  type LayerProgress,
  type LayersProgress,
  type ProgressEvent,
} from './layer-progress.ts'
import { LiveRegion, type Screen } from './live-region.ts'
import { progressLines } from './progress-bar.ts'
import { printable } from './table.ts'

/** Shows the progress of layers to a person or a log. */
export interface ProgressReporter {
  event(event: ProgressEvent): void
  /** The same for what is only worth showing while it goes on. */
  unpacking(event: ProgressEvent): void
  /** Print a line (without its newline) that is not about a layer. */
  line(text: string): void
  /** Leave the last state on the screen; what is reported afterwards begins below it. Idempotent. */
  end(): void
}

/** For terminals: one line per layer with a bar, redrawn in place. */
export function createBarReporter(
  screen: Screen,
  clock: () => number = Date.now,
): ProgressReporter {
  return new BarReporter(screen, clock)
}

/** For everything else: one line for each change of state. */
export function createLineReporter(out: { write(text: string): void }): ProgressReporter {
  const progress: LayersProgress = new Map()
  return {
    event: (event) => {
      for (const layer of advance(progress, event, 0)) out.write(`${stateLine(layer)}\n`)
    },
    line: (text) => out.write(`${printable(text)}\n`),
    unpacking: () => {}, // a log has no use for it
    end: () => {},
  }
}

/** For `--quiet`. */
export function createSilentReporter(): ProgressReporter {
  return { event: () => {}, line: () => {}, unpacking: () => {}, end: () => {} }
}

function stateLine({ label, status, reason }: LayerProgress): string {
  return `${label}: ${status}${reason === undefined ? '' : ` (${printable(reason)})`}`
}

/** Between two drawings; fast enough for the eye, slow enough for a serial line. */
const FRAME_MS = 80

class BarReporter implements ProgressReporter {
  readonly #screen: Screen
  readonly #region: LiveRegion
  readonly #clock: () => number
  readonly #progress: LayersProgress = new Map()
  #drawnAt = Number.NEGATIVE_INFINITY
  /** What is drawn goes away in the end. */
  #fleeting = false
  #timer: NodeJS.Timeout | undefined

  constructor(screen: Screen, clock: () => number) {
    this.#screen = screen
    this.#region = new LiveRegion(screen)
    this.#clock = clock
  }

  event(event: ProgressEvent): void {
    const changed = advance(this.#progress, event, this.#clock())
    const wait = this.#drawnAt + FRAME_MS - this.#clock()
    if (changed.length > 0 || wait <= 0) this.#draw(this.#screen.size())
    else this.#timer ??= setTimeout(() => this.#draw(this.#screen.size()), wait)
  }

  line(text: string): void {
    this.#region.print(`${printable(text)}\n`)
  }

  unpacking(event: ProgressEvent): void {
    if (!this.#fleeting) this.end()
    this.#fleeting = true
    this.event(event)
  }

  end(): void {
    if (this.#fleeting) this.#clear()
    else if (this.#progress.size > 0) this.#leave()
    this.#fleeting = false
    this.#progress.clear()
  }

  #leave(): void {
    const { columns } = this.#screen.size()
    this.#draw({ columns, rows: Number.POSITIVE_INFINITY })
    this.#region.commit()
  }

  #clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#region.clear()
  }

  #draw(size: { columns: number; rows: number }): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#drawnAt = this.#clock()
    this.#region.draw(progressLines([...this.#progress.values()], size, this.#drawnAt))
  }
}
