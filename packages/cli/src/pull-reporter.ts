import {
  advance,
  type LayerProgress,
  type ProgressEvent,
  type PullProgress,
} from './layer-progress.ts'
import { LiveRegion, type Screen } from './live-region.ts'
import { progressLines } from './progress-bar.ts'
import { printable } from './table.ts'

/** Shows the progress of one pull to a person or a log. */
export interface PullReporter {
  event(event: ProgressEvent): void
  /** Print a line (without its newline) that is not about a layer. */
  line(text: string): void
  /** Leave the last state on the screen; nothing may be reported afterwards. Idempotent. */
  end(): void
}

/** For terminals: one line per layer with a bar, redrawn in place. */
export function createBarReporter(screen: Screen, clock: () => number = Date.now): PullReporter {
  return new BarReporter(screen, clock)
}

/** For everything else: one line for each change of state. */
export function createLineReporter(out: { write(text: string): void }): PullReporter {
  const progress: PullProgress = new Map()
  return {
    event: (event) => {
      for (const layer of advance(progress, event, 0)) out.write(`${stateLine(layer)}\n`)
    },
    line: (text) => out.write(`${printable(text)}\n`),
    end: () => {},
  }
}

/** For `--quiet`. */
export function createSilentReporter(): PullReporter {
  return { event: () => {}, line: () => {}, end: () => {} }
}

function stateLine({ label, status, reason }: LayerProgress): string {
  return `${label}: ${status}${reason === undefined ? '' : ` (${printable(reason)})`}`
}

/** Between two drawings; fast enough for the eye, slow enough for a serial line. */
const FRAME_MS = 80

class BarReporter implements PullReporter {
  readonly #screen: Screen
  readonly #region: LiveRegion
  readonly #clock: () => number
  readonly #progress: PullProgress = new Map()
  #drawnAt = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined
  #ended = false

  constructor(screen: Screen, clock: () => number) {
    this.#screen = screen
    this.#region = new LiveRegion(screen)
    this.#clock = clock
  }

  event(event: ProgressEvent): void {
    if (this.#ended) return
    const changed = advance(this.#progress, event, this.#clock())
    const wait = this.#drawnAt + FRAME_MS - this.#clock()
    if (changed.length > 0 || wait <= 0) this.#draw(this.#screen.size())
    else this.#timer ??= setTimeout(() => this.#draw(this.#screen.size()), wait)
  }

  line(text: string): void {
    this.#region.print(`${printable(text)}\n`)
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    const { columns } = this.#screen.size()
    this.#draw({ columns, rows: Number.POSITIVE_INFINITY })
    this.#region.commit()
  }

  #draw(size: { columns: number; rows: number }): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#drawnAt = this.#clock()
    this.#region.draw(progressLines([...this.#progress.values()], size, this.#drawnAt))
  }
}
