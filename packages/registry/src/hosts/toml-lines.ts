/** Where the keys and tables of a TOML document stand: line numbers from 1, by {@link keyPath}. */
export type TomlLines = ReadonlyMap<string, number>

/** A way through a TOML document as one text: `['registry', 0, 'location']`. */
export function keyPath(path: ReadonlyArray<string | number>): string {
  return JSON.stringify(path.map(String))
}

/** The line of what a path leads to, or of what holds it, for people to look at; undefined if there is none. */
export function lineOf(lines: TomlLines, path: ReadonlyArray<string | number>): number | undefined {
  for (let length = path.length; length > 0; length--) {
    const line = lines.get(keyPath(path.slice(0, length)))
    if (line !== undefined) return line
  }
  return undefined
}

const PART = /\s*(?:([A-Za-z0-9_-]+)|"((?:[^"\\]|\\.)*)"|'([^']*)')\s*/y

/**
 * Find the lines of all tables and keys of a valid document.
 *
 * The parser says what a document means but not where, and whoever repairs a file wants the line. What
 * stands inside of inline tables and arrays has the line where those begin.
 */
export function indexLines(text: string): TomlLines {
  const lines = new Map<string, number>()
  const arrays = new Map<string, number>()
  let table: string[] = []
  let open: Continuation = { depth: 0 }
  for (const [index, line] of text.split('\n').entries()) {
    const fresh = open.depth === 0 && open.quotes === undefined
    const header = fresh ? /^\s*(\[\[?)(.*)$/.exec(line) : null
    if (header !== null) {
      const isArray = header[1] === '[['
      table = enterTable(readKey(header[2] ?? '').parts, isArray, arrays)
      lines.set(keyPath(table), lines.get(keyPath(table)) ?? index + 1)
      continue
    }
    if (fresh) {
      const { parts, rest } = readKey(line)
      if (parts.length === 0 || !rest.startsWith('=')) continue
      lines.set(keyPath([...table, ...parts]), index + 1)
      open = scan(rest, open)
    } else {
      open = scan(line, open)
    }
  }
  return lines
}

/** What a value that does not end on its line leaves open. */
interface Continuation {
  /** Brackets. */
  depth: number
  quotes?: '"""' | "'''"
}

/** `[[a.b]]` is one more element; `[a.b]` below an array of tables is about its last element. */
function enterTable(parts: string[], isArray: boolean, arrays: Map<string, number>): string[] {
  const path: string[] = []
  for (const [index, part] of parts.entries()) {
    path.push(part)
    const key = keyPath(path)
    const isLast = index === parts.length - 1
    if (isArray && isLast) arrays.set(key, (arrays.get(key) ?? -1) + 1)
    const element = arrays.get(key)
    if (element !== undefined) path.push(String(element))
  }
  return path
}

/** A dotted key and what follows it. */
function readKey(text: string): { parts: string[]; rest: string } {
  const parts: string[] = []
  let position = 0
  do {
    PART.lastIndex = position
    const found = PART.exec(text)
    if (found === null) break
    parts.push(found[1] ?? found[3] ?? (found[2] ?? '').replace(/\\(.)/g, '$1'))
    position = PART.lastIndex
  } while (text[position++] === '.')
  return { parts, rest: text.slice(Math.max(position - 1, 0)) }
}

const TOKEN = /"""|'''|"(?:[^"\\]|\\.)*"|'[^']*'|[[\]{}]|#.*$/g

function scan(text: string, { depth, quotes }: Continuation): Continuation {
  if (quotes !== undefined) {
    const end = text.indexOf(quotes)
    return end === -1 ? { depth, quotes } : scan(text.slice(end + 3), { depth })
  }
  let level = depth
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (token === '"""' || token === "'''") {
      return scan(text.slice(index + 3), { depth: level, quotes: token })
    }
    if (token === '[' || token === '{') level++
    if (token === ']' || token === '}') level--
  }
  return { depth: level }
}
