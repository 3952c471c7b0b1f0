import { constants } from 'node:os'
import type { ExitStatus } from './contained-process.ts'
import type { LimitControl } from './limit-control.ts'
import type { MonitorEvent } from './records.ts'

/** What the monitor's last words say, in the words of this package. */
export function exitStatus(
  event: Extract<MonitorEvent, { type: 'exited' }>,
  { last, effective }: Pick<LimitControl, 'last' | 'effective'>,
): ExitStatus {
  const signal = event.signal === 0 ? null : signalName(event.signal)
  return {
    exitCode: event.signal === 0 ? event.code : signal === null ? 128 + event.signal : null,
    signal,
    reason: last?.reason ?? (event.signal === 0 ? 'exit' : 'signal'),
    usage: {
      wallMs: 0,
      userMs: event.userMicros / 1000,
      systemMs: event.systemMicros / 1000,
      source: { userMs: 'rusage', systemMs: 'rusage' },
      ...last?.usage,
      maxRssBytes: event.maxRssBytes,
    },
    limits: effective,
  }
}

function signalName(number: number): NodeJS.Signals | null {
  for (const [name, value] of Object.entries(constants.signals)) {
    // the keys of os.constants.signals are exactly the members of NodeJS.Signals
    if (value === number) return name as NodeJS.Signals
  }
  return null
}
