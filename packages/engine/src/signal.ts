import { constants } from 'node:os'

/** SIGRTMIN as programs know it: the C library keeps the kernel's first two for itself. */
const SIGRTMIN = 34
const SIGRTMAX = 64

/**
 * The number of a signal written as docker allows: `SIGTERM`, `term`, `15`, `RTMIN+3`.
 * Undefined when there is no such signal.
 */
export function parseSignal(text: string): number | undefined {
  if (/^\d{1,2}$/.test(text)) return inRange(Number(text))
  const name = text.toUpperCase().replace(/^SIG/, '')
  const [, end, offset] = /^(RTMIN|RTMAX)(?:[+-](\d{1,2}))?$/.exec(name) ?? []
  if (end === 'RTMIN') return inRange(SIGRTMIN + Number(offset ?? 0))
  if (end === 'RTMAX') return inRange(SIGRTMAX - Number(offset ?? 0))
  return new Map(Object.entries(constants.signals)).get(`SIG${name}`)
}

/** What a shell makes of a death by signal: 128 and the signal's number. */
export function signalExitCode(signal: string): number {
  return 128 + (parseSignal(signal) ?? 0)
}

function inRange(number: number): number | undefined {
  return number >= 1 && number <= SIGRTMAX ? number : undefined
}
