import { type ByteString, printable } from './byte-string.ts'

/** Something in a layer that could not be made on this host, and was left out. */
export interface SkippedItem {
  entry: string
  what: 'device' | 'fifo' | 'xattr' | 'aufs'
  /** What exactly: `char 1:3`, `security.capability`. */
  detail: string
  /** Why: an errno's name, or what is missing. */
  reason: string
}

const MAX_ITEMS = 1000

/** Collects what was left out; keeps the first thousand and counts the rest. */
export class SkippedItems {
  readonly items: SkippedItem[] = []
  total = 0

  add(entry: ByteString, item: Omit<SkippedItem, 'entry'>): void {
    this.total++
    if (this.items.length < MAX_ITEMS) this.items.push({ entry: printable(entry), ...item })
  }
}
