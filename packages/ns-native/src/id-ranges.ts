/** Consecutive ids. */
export interface IdRange {
  start: number
  size: number
}

/** 2^32 - 1 is no id: it means "no change" to chown(2) and its kin. */
const ID_LIMIT = 2 ** 32 - 1

/**
 * The ranges of these owners, or of everybody, in the text of /etc/subuid or /etc/subgid.
 *
 * Comments and lines that are no `owner:start:count` are passed over, as the setuid helpers do;
 * a line that says the same again (once by name, once by number) counts once.
 */
export function parseSubordinateIds(text: string, owners?: readonly string[]): IdRange[] {
  const ranges = new Map<string, IdRange>()
  for (const line of text.split('\n')) {
    const [, owner = '', start, size] = /^([^:#]+):(\d{1,10}):(\d{1,10})\s*$/.exec(line) ?? []
    if (owners !== undefined && !owners.includes(owner)) continue
    const range = { start: Number(start), size: Number(size) }
    if (range.size >= 1 && range.start + range.size <= ID_LIMIT) {
      ranges.set(`${range.start}:${range.size}`, range)
    }
  }
  return [...ranges.values()]
}

/** The ids that exist inside a user namespace, by the text of its uid_map; joined where adjacent. */
export function parseIdMap(text: string): IdRange[] {
  const ranges: IdRange[] = []
  const lines = text.split('\n').flatMap((line) => {
    const [start, , size] = line.trim().split(/\s+/).map(Number)
    return start === undefined || size === undefined || !(size >= 1) ? [] : [{ start, size }]
  })
  for (const { start, size } of lines.sort((left, right) => left.start - right.start)) {
    const last = ranges.at(-1)
    if (last !== undefined && last.start + last.size === start) last.size += size
    else ranges.push({ start, size })
  }
  return ranges
}

/** Whether each of the ranges lies wholly in one of those available, which are joined and sorted. */
export function isCovered(ranges: readonly IdRange[], available: readonly IdRange[]): boolean {
  return ranges.every(({ start, size }) =>
    available.some((other) => start >= other.start && start + size <= other.start + other.size),
  )
}
