// Draws what a terminal shows as an SVG: tmux capture-pane -e -p | node scripts/terminal-picture.mjs TITLE > docs/x.svg
import { readFileSync } from 'node:fs'

const CELL = { width: 8.4, height: 18 }
const MARGIN = 16
const PALETTE = [
  '#2e3436',
  '#ef2929',
  '#8ae234',
  '#fce94f',
  '#729fcf',
  '#ad7fa8',
  '#34e2e2',
  '#d3d7cf',
]

const lines = readFileSync(0, 'utf8').replace(/\n+$/, '').split('\n').map(spans)
const columns = Math.max(
  ...lines.map((line) => line.reduce((sum, { text }) => sum + text.length, 0)),
)
const width = Math.ceil(columns * CELL.width + 2 * MARGIN)
const height = Math.ceil(lines.length * CELL.height + 2 * MARGIN)

console.log(`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title">
<title id="title">${escaped(process.argv[2] ?? 'a terminal')}</title>
<rect width="100%" height="100%" rx="8" fill="#1d1f21"/>
<g font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, monospace" font-size="14" fill="#d3d7cf" xml:space="preserve">
${lines.map(drawn).join('\n')}
</g>
</svg>`)

/** The runs of one colour and weight in a line with SGR sequences. */
function spans(line) {
  const found = []
  let style = { fill: undefined, bold: false, dim: false }
  for (const part of line.split(/(\x1b\[[\d;]*m)/)) {
    const codes = part.match(/^\x1b\[([\d;]*)m$/)?.[1]
    if (codes === undefined) {
      if (part !== '') found.push({ text: part, style })
      continue
    }
    for (const code of codes.split(';').map(Number)) style = styled(style, code)
  }
  return found
}

function styled(style, code) {
  if (code === 0) return { fill: undefined, bold: false, dim: false }
  if (code === 1) return { ...style, bold: true }
  if (code === 2) return { ...style, dim: true }
  if (code === 22) return { ...style, bold: false, dim: false }
  if (code >= 30 && code <= 37) return { ...style, fill: PALETTE[code - 30] }
  if (code >= 90 && code <= 97) return { ...style, fill: PALETTE[code - 90] }
  return code === 39 ? { ...style, fill: undefined } : style
}

function drawn(line, row) {
  let column = 0
  const y = (MARGIN + (row + 0.75) * CELL.height).toFixed(1)
  return line
    .map(({ text, style }) => {
      const x = (MARGIN + column * CELL.width).toFixed(1)
      column += text.length
      const attributes = [
        style.fill && ` fill="${style.fill}"`,
        style.bold && ' font-weight="bold"',
        style.dim && ' opacity="0.6"',
      ].filter(Boolean)
      const length = (text.length * CELL.width).toFixed(1)
      return `<text x="${x}" y="${y}" textLength="${length}"${attributes.join('')}>${escaped(text)}</text>`
    })
    .join('')
}

function escaped(text) {
  return text.replace(/[&<>]/g, (character) => `&#${character.codePointAt(0)};`)
}
