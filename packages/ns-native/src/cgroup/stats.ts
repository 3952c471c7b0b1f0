/** What a group's files say; undefined where the kernel has no such file or no such controller. */
export interface CgroupStats {
  memoryBytes?: number
  peakMemoryBytes?: number
  /** Processes killed because memory ran out. */
  oomKills?: number
  pids?: number
  peakPids?: number
  /** Forks that were not allowed. */
  pidsDenied?: number
  userMs?: number
  systemMs?: number
  /** How long it had to wait for its next share of processor time. */
  throttledMs?: number
  ioReadBytes?: number
  ioWriteBytes?: number
  /** Whether any process is in it or below it. */
  populated?: boolean
  frozen?: boolean
}

/** The files of version 2 that `parseCgroupStats` reads. */
export const STAT_FILES = [
  'memory.current',
  'memory.peak',
  'memory.events',
  'pids.current',
  'pids.peak',
  'pids.events',
  'cpu.stat',
  'io.stat',
  'cgroup.events',
] as const

/** Contents by name; what is missing is undefined. */
export type StatFiles = { [name in (typeof STAT_FILES)[number]]?: string | undefined }

/** The figures in a version 2 group's files. */
export function parseCgroupStats(files: StatFiles): CgroupStats {
  const memory = parseFlatKeyed(files['memory.events'])
  const pids = parseFlatKeyed(files['pids.events'])
  const cpu = parseFlatKeyed(files['cpu.stat'])
  const events = parseFlatKeyed(files['cgroup.events'])
  const io = files['io.stat'] === undefined ? undefined : parseNestedKeyed(files['io.stat'])
  return withoutUndefined({
    memoryBytes: parseAmount(files['memory.current']),
    peakMemoryBytes: parseAmount(files['memory.peak']),
    oomKills: memory.get('oom_kill'),
    pids: parseAmount(files['pids.current']),
    peakPids: parseAmount(files['pids.peak']),
    pidsDenied: pids.get('max'),
    userMs: millis(cpu.get('user_usec')),
    systemMs: millis(cpu.get('system_usec')),
    throttledMs: millis(cpu.get('throttled_usec')),
    ioReadBytes: io && sumOf(io, 'rbytes'),
    ioWriteBytes: io && sumOf(io, 'wbytes'),
    populated: flag(events.get('populated')),
    frozen: flag(events.get('frozen')),
  })
}

/** A single number; `max` is Infinity, anything else undefined. */
export function parseAmount(text: string | undefined): number | undefined {
  const word = text?.trim()
  if (word === 'max') return Number.POSITIVE_INFINITY
  return word !== undefined && /^\d+$/.test(word) ? Number(word) : undefined
}

/** `KEY NUMBER` lines. */
export function parseFlatKeyed(text = ''): Map<string, number> {
  const values = new Map<string, number>()
  for (const [, key, value] of text.matchAll(/^(\S+) (\d+)$/gm)) {
    if (key !== undefined) values.set(key, Number(value))
  }
  return values
}

/** `NAME KEY=NUMBER KEY=NUMBER` lines. */
export function parseNestedKeyed(text = ''): Map<string, Map<string, number>> {
  const lines = new Map<string, Map<string, number>>()
  for (const line of text.split('\n')) {
    const [name = '', ...pairs] = line.split(' ')
    if (name === '') continue
    const values = new Map<string, number>()
    for (const pair of pairs) {
      const [, key, value] = /^([^=]+)=(\d+)$/.exec(pair) ?? []
      if (key !== undefined) values.set(key, Number(value))
    }
    lines.set(name, values)
  }
  return lines
}

function sumOf(lines: Map<string, Map<string, number>>, key: string): number {
  let sum = 0
  for (const values of lines.values()) sum += values.get(key) ?? 0
  return sum
}

function millis(micros: number | undefined): number | undefined {
  return micros === undefined ? undefined : micros / 1000
}

function flag(value: number | undefined): boolean | undefined {
  return value === undefined ? undefined : value === 1
}

function withoutUndefined(stats: { [key in keyof CgroupStats]: CgroupStats[key] | undefined }) {
  // what is left has exactly the defined ones of CgroupStats
  return Object.fromEntries(
    Object.entries(stats).filter(([, value]) => value !== undefined),
  ) as CgroupStats
}
