import { unsupported } from './unsupported.ts'

const UNITS: Record<string, number> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }

/** A tmpfs size in bytes: digits with an optional k, m or g, as in tmpfs(5). */
export function parseSize(text: string, pointer: string): number {
  const [, digits, unit] = /^(\d{1,12})([kmg]?)$/i.exec(text) ?? []
  const factor = UNITS[unit?.toLowerCase() ?? '?']
  if (digits === undefined || factor === undefined) {
    throw unsupported(pointer, `has the size ${JSON.stringify(text)}; use bytes, k, m or g`)
  }
  return Number(digits) * factor
}
