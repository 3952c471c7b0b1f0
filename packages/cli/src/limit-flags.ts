import { usageError } from './errors.ts'

const UNITS: Record<string, number> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
}
/** Less than this docker refuses, too: no program would start. */
const MEMORY_MIN_BYTES = 6 * 2 ** 20

/** `-m`: docker's grammar, powers of 1024: `512m`, `1.5g`, `100000000`, `64MiB`. */
export function parseMemory(text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s?([bkmgt]?)(?:i?b)?$/i.exec(text) ?? []
  const bytes = Math.floor(Number(number) * (UNITS[unit.toLowerCase()] ?? Number.NaN))
  if (!Number.isSafeInteger(bytes)) {
    throw usageError(
      `-m does not understand ${JSON.stringify(text)}`,
      'give a size such as 512m or 2g',
    )
  }
  if (bytes < MEMORY_MIN_BYTES) {
    throw usageError(`-m ${text} is too little for a program to start`, 'give at least 6m')
  }
  return bytes
}

/** `--cpus`: a number such as 0.5 or 2. */
export function parseCpus(text: string): number {
  const cpus = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN
  if (cpus >= 0.01) return cpus
  throw usageError(
    `--cpus does not understand ${JSON.stringify(text)}`,
    'give a number such as 1.5',
  )
}

/** `--pids-limit`: a whole number; as in docker, 0 and -1 are no limit. */
export function parsePidsLimit(text: string): number | undefined {
  if (text === '-1' || text === '0') return undefined
  if (/^\d{1,7}$/.test(text) && Number(text) <= 4_194_303) return Number(text)
  throw usageError(
    `--pids-limit does not understand ${JSON.stringify(text)}`,
    'give a number such as 100',
  )
}
