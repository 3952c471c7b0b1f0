import type { ExitStatus } from '../contained-process.ts'
import type { EffectivePolicy } from './effective-policy.ts'

/** How a program ended, what it used, and under which policy. */
export interface RunResult {
  /** It ended by itself, with exit code 0. */
  ok: boolean
  exitCode: number | null
  signal: NodeJS.Signals | null
  /** Why it ended. */
  reason: EndReason
  /** What it printed, where that was collected (as `run` does); else empty. */
  stdout: string
  stderr: string
  /** It printed more than was collected. */
  truncated: boolean
  usage: Usage
  /** What was really enforced. */
  policy: EffectivePolicy
}

/** `exit` and `signal`: by itself, or by somebody's signal; `abort`: by its `AbortSignal`. */
export type EndReason = 'exit' | 'signal' | 'abort'

/** Of everything that ran inside. */
export interface Usage {
  /** From the program's start to its end. */
  wallMs: number
  cpuUserMs: number
  cpuSystemMs: number
  /** Of the largest process. */
  peakMemoryBytes: number
  /** Where the figures come from: `rusage` counts processes that were waited for. */
  source: 'rusage'
}

/** Where the output that a result quotes comes from. */
export interface Collected {
  stdout: string
  stderr: string
  truncated: boolean
}

export function runResult(
  status: ExitStatus,
  facts: { aborted: boolean; wallMs: number; collected: Collected; policy: EffectivePolicy },
): RunResult {
  const { exitCode, signal, usage } = status
  const reason = facts.aborted ? 'abort' : signal === null ? 'exit' : 'signal'
  return {
    ok: exitCode === 0 && reason === 'exit',
    exitCode,
    signal,
    reason,
    ...facts.collected,
    usage: {
      wallMs: facts.wallMs,
      cpuUserMs: usage.userMs,
      cpuSystemMs: usage.systemMs,
      peakMemoryBytes: usage.maxRssBytes,
      source: 'rusage',
    },
    policy: facts.policy,
  }
}
