/** A terminal as far as a {@link LiveRegion} needs it. */
export interface Screen {
  write(text: string): void
  /** The present width; asked anew for each drawing. */
  size(): { columns: number; rows: number }
}

/**
 * Lines at the bottom of the screen's text that are redrawn in place. The cursor is always left visible
 * at the start of the line below them, so nothing needs restoring however the process ends. Survives a
 * resize: where the terminal has wrapped our lines, their rows are counted before going up.
 */
export class LiveRegion {
  readonly #screen: Screen
  #drawn: string[] = []
  #columns = 0

  constructor(screen: Screen) {
    this.#screen = screen
  }

  /** Put these lines in the place of those drawn last; lines wider than the screen must not be passed. */
  draw(lines: readonly string[]): void {
    const { columns } = this.#screen.size()
    const resized = this.#columns !== 0 && columns !== this.#columns
    const start = this.#toTop(columns) + (resized ? ERASE_BELOW : '')
    const body = lines.map((line) => `${line}${ERASE_LINE_END}\n`).join('')
    const end = !resized && this.#drawn.length > lines.length ? ERASE_BELOW : ''
    this.#screen.write(start + body + end)
    this.#drawn = [...lines]
    this.#columns = columns
  }

  /** Print text that stays, above the region. */
  print(text: string): void {
    const lines = this.#drawn
    const { columns } = this.#screen.size()
    this.#screen.write(`${this.#toTop(columns)}${lines.length > 0 ? ERASE_BELOW : ''}${text}`)
    this.#drawn = []
    this.draw(lines)
  }

  /** Remove the region from the screen. */
  clear(): void {
    if (this.#drawn.length === 0) return
    this.#screen.write(this.#toTop(this.#screen.size().columns) + ERASE_BELOW)
    this.#drawn = []
  }

  /** Leave what is drawn where it is; the next drawing begins below. */
  commit(): void {
    this.#drawn = []
  }

  #toTop(columns: number): string {
    const rows = this.#drawn.reduce((sum, line) => sum + rowsOf(line, columns), 0)
    return rows === 0 ? '' : `\r\u001b[${rows}A`
  }
}

const ERASE_LINE_END = '\u001b[K'
const ERASE_BELOW = '\u001b[J'

function rowsOf(line: string, columns: number): number {
  return Math.max(1, Math.ceil(line.length / Math.max(1, columns)))
}
