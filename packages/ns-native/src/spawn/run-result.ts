import type { ExitStatus } from '../contained-process.ts'
import type { ExitReason } from '../limits.ts'
import type { NetworkViolation } from '../network/gatekeeper.ts'
import type { Usage } from '../usage.ts'
import type { EffectivePolicy } from './effective-policy.ts'

/** How a program ended, what it used, and under which policy. */
export interface RunResult {
  /** It ended by itself, with exit code 0. */
  ok: boolean
  exitCode: number | null
  signal: NodeJS.Signals | null
  /** Why it ended: by itself, by a signal, by the limit of that name, by its filter, or by its `AbortSignal`. */
  reason: ExitReason
  /** What it printed, where that was collected (as `run` does); else empty. */
  stdout: string
  stderr: string
  /** It printed more than was collected. */
  truncated: boolean
  /** What all of it used; `source` says where each figure comes from. */
  usage: Usage
  /** What it wanted of the network and did not get. */
  violations: readonly NetworkViolation[]
  /** What was really enforced, and by what. */
  policy: EffectivePolicy
}

/** Where the output that a result quotes comes from. */
export interface Collected {
  stdout: string
  stderr: string
  truncated: boolean
}

/** What a result is made of besides the exit status. */
export interface ResultFacts {
  aborted: boolean
  collected: Collected
  violations: readonly NetworkViolation[]
  policy: EffectivePolicy
}

export function runResult(status: ExitStatus, facts: ResultFacts): RunResult {
  const { exitCode, signal } = status
  const { maxRssBytes, ...usage } = status.usage
  const reason = facts.aborted ? 'abort' : status.reason
  return {
    ok: exitCode === 0 && reason === 'exit',
    exitCode,
    signal,
    reason,
    ...facts.collected,
    usage: { peakMemoryBytes: maxRssBytes, ...usage },
    violations: facts.violations,
    policy: facts.policy,
  }
}
