import type { ExitStatus } from '../contained-process.ts'
import type { EffectiveLimits, ExitReason } from '../limits.ts'
import type { Usage } from '../usage.ts'
import type { EffectivePolicy } from './effective-policy.ts'

/** How a program ended, what it used, and under which policy. */
export interface RunResult {
  /** It ended by itself, with exit code 0. */
  ok: boolean
  exitCode: number | null
  signal: NodeJS.Signals | null
  /** Why it ended. */
  reason: ExitReason
  /** What it printed, where that was collected (as `run` does); else empty. */
  stdout: string
  stderr: string
  /** It printed more than was collected. */
  truncated: boolean
  /** Of everything that ran inside. */
  usage: Usage
  /** The limits that were in force, and who held them. */
  limits: EffectiveLimits
  /** What was really enforced. */
  policy: EffectivePolicy
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
  const reason = facts.aborted ? 'abort' : status.reason
  return {
    ok: exitCode === 0 && reason === 'exit',
    exitCode,
    signal,
    reason,
    ...facts.collected,
    usage: { ...usage, wallMs: facts.wallMs },
    limits: status.limits,
    policy: facts.policy,
  }
}
