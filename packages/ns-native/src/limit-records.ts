import type { Group } from './cgroup/groups.ts'
import type { HeldLimits } from './limit-plan.ts'
import { encodeMessage, RECORD, type WireRecord } from './records.ts'

/** The configuration records for limits. */
export function encodeLimits(
  held: Readonly<HeldLimits>,
  groups: readonly Group[],
): readonly WireRecord[] {
  const { wallMs, cpuMicros, outputBytes, memoryBytes, pids, nproc } = held
  const amounts = [wallMs, cpuMicros, outputBytes, memoryBytes, pids, nproc]
  const none = amounts.every((amount) => amount === 0)
  if (none) return groups.map(encodeGroup)
  const limits = Buffer.alloc(8 * amounts.length)
  amounts.forEach((amount, index) => {
    limits.writeBigUInt64LE(BigInt(amount), 8 * index)
  })
  return [{ type: RECORD.LIMITS, payload: limits }, ...groups.map(encodeGroup)]
}

function encodeGroup({ path, flags, roles, writes }: Group): WireRecord {
  const texts = [path, ...writes.flat()].map((text) => `${text}\0`).join('')
  return {
    type: RECORD.CGROUP,
    payload: Buffer.concat([numbers(flags, roles), Buffer.from(texts)]),
  }
}

/** A message that asks for the usage so far; the answer has the same token. */
export function encodeAskUsage(token: number): Buffer {
  return encodeMessage([{ type: RECORD.ASK_USAGE, payload: numbers(token) }])
}

/** A message that stops everything inside, or lets it go on. */
export function encodeFreeze(frozen: boolean): Buffer {
  return encodeMessage([{ type: RECORD.FREEZE, payload: numbers(frozen ? 1 : 0) }])
}

function numbers(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  values.forEach((value, index) => {
    bytes.writeUInt32LE(value, 4 * index)
  })
  return bytes
}
