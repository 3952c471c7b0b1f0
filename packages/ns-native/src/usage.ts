/**
 * Where a figure comes from: the container's control group, the processes that were waited for
 * (`rusage`: getrusage(2); its memory is that of the largest process), looking at processes every
 * 20 ms, or what passed through the monitor.
 */
export type UsageSource = 'cgroup2' | 'cgroup1' | 'rusage' | 'sampled' | 'monitor'

/** What a container used, or uses; a figure that nobody knows is absent. */
export interface Usage {
  /** Since the program's start. */
  wallMs: number
  userMs: number
  systemMs: number
  /** At its highest. */
  peakMemoryBytes?: number
  /** Now; only while it runs. */
  memoryBytes?: number
  /** Processes that the kernel killed because the group's memory ran out. */
  oomKills?: number
  /** Processes and threads, without the helper's own PID 1. */
  peakPids?: number
  pids?: number
  /** Forks that the group's limit did not allow. */
  pidsDenied?: number
  ioReadBytes?: number
  ioWriteBytes?: number
  /** Of stdout and stderr, where they are limited; what was not delivered counts, too. */
  outputBytes?: number
  /** Of each figure that has one. */
  source: { [figure in UsageFigure]?: UsageSource }
}

/** Where nothing is known. */
export const NO_USAGE = { wallMs: 0, userMs: 0, systemMs: 0, maxRssBytes: 0, source: {} }

/** A figure of {@link Usage} that has a source. */
export type UsageFigure = Exclude<keyof Usage, 'wallMs' | 'source'>

// CW_FIGURE_* and CW_SOURCE_* of native/init/records.h
const FIGURES: readonly UsageFigure[] = [
  'peakMemoryBytes',
  'memoryBytes',
  'oomKills',
  'peakPids',
  'pids',
  'pidsDenied',
  'userMs',
  'systemMs',
  'ioReadBytes',
  'ioWriteBytes',
  'outputBytes',
]
const SOURCES: readonly UsageSource[] = ['cgroup2', 'cgroup1', 'rusage', 'sampled', 'monitor']
/** These mean nothing once it has ended. */
const NOW: readonly UsageFigure[] = ['memoryBytes', 'pids']
const SIZE_BYTES = FIGURES.length * 8 + 16

/** Reads the figures of a usage record: u64 of each, then the source of each. */
export function decodeUsage(bytes: Buffer, wallMicros: number, ended = false): Usage | undefined {
  if (bytes.length !== SIZE_BYTES) return undefined
  const usage: Usage = { wallMs: wallMicros / 1000, userMs: 0, systemMs: 0, source: {} }
  for (const [index, figure] of FIGURES.entries()) {
    const source = SOURCES[bytes.readUInt8(FIGURES.length * 8 + index) - 1]
    if (source === undefined || (ended && NOW.includes(figure))) continue
    const value = Number(bytes.readBigUInt64LE(index * 8))
    usage[figure] = scaled(figure, value, source)
    usage.source[figure] = source
  }
  return usage
}

function scaled(figure: UsageFigure, value: number, source: UsageSource): number {
  if (figure === 'userMs' || figure === 'systemMs') return value / 1000
  // The helper's PID 1 is in the group, but nobody asked for it.
  const counted = figure === 'pids' || figure === 'peakPids'
  return counted && source !== 'sampled' ? Math.max(0, value - 1) : value
}
