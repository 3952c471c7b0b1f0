const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/**
 * Bytes in decimal units with at most `digits` significant digits, as docker prints them:
 * `512B`, `7.8MB`, `109.2MB`.
 */
export function formatSize(bytes: number, digits = 4): string {
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000
    unit++
  }
  let rounded = Number(value.toPrecision(digits))
  if (rounded >= 1000 && unit < UNITS.length - 1) {
    rounded /= 1000
    unit++
  }
  return `${rounded}${UNITS[unit]}`
}
