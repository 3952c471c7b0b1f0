const GAP = 3

/**
 * Rows under a header as docker lays them out: columns as wide as their widest cell, three spaces
 * between them, no space at the end of a line. Control characters in cells are made visible, so no
 * image or container can write to the terminal through a name.
 */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const lines = [header, ...rows].map((row) => row.map(printable))
  const widths = header.map((_, column) =>
    Math.max(...lines.map((line) => displayWidth(line[column] ?? ''))),
  )
  return lines.map((line) => `${formatLine(line, widths)}\n`).join('')
}

/** Pairs as two indented columns, for help texts. */
export function formatColumns(rows: ReadonlyArray<readonly [string, string]>): string[] {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}   ${right}`.trimEnd())
}

/** The text with control characters as visible escapes (`\n`, `\x1b`) and nothing else changed. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (character) => {
    if (character === '\n') return '\\n'
    if (character === '\t') return '\\t'
    const code = character.charCodeAt(0)
    if (code > 0xff) return `\\u${code.toString(16)}`
    return `\\x${code.toString(16).padStart(2, '0')}`
  })
}

/** The text cut to `width` characters, the last of them an ellipsis where something was cut. */
export function ellipsize(text: string, width: number): string {
  const characters = [...text]
  if (characters.length <= width) return text
  return `${characters.slice(0, width - 1).join('')}…`
}

function formatLine(cells: readonly string[], widths: readonly number[]): string {
  const padded = cells.map((cell, column) => {
    const missing = (widths[column] ?? 0) - displayWidth(cell)
    return cell + ' '.repeat(missing + GAP)
  })
  return padded.join('').trimEnd()
}

function displayWidth(text: string): number {
  return [...text].length
}
