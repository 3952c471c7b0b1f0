import type { ProcessSpec, RlimitType } from '@cromwell/ns-native'
import { RuntimeError } from './errors.ts'
import {
  type JsonValue,
  member,
  optional,
  readArray,
  readInteger,
  readObject,
  readString,
  readUnsigned,
} from './json-reader.ts'
import type { AttributesConfig } from './runtime-spec.ts'
import { unsupported } from './unsupported.ts'

/** Values from here on mean no limit: RLIM_INFINITY is 2^64 - 1, which JSON.parse rounds up. */
const INFINITY_FROM = 2 ** 63
const IO_CLASSES = ['IOPRIO_CLASS_RT', 'IOPRIO_CLASS_BE', 'IOPRIO_CLASS_IDLE'] as const

/** The members of `process` about limits, ranks and labels. */
export function readAttributes(process: JsonValue): AttributesConfig {
  return {
    ...optional(process, 'rlimits', (from) => readArray(from, readRlimit)),
    ...optional(process, 'oomScoreAdj', readInteger),
    ...optional(process, 'ioPriority', readIoPriority),
    ...optional(process, 'scheduler', readScheduler),
    ...optional(process, 'apparmorProfile', readString),
    ...optional(process, 'selinuxLabel', readString),
  }
}

function readRlimit(from: JsonValue): { type: string; soft: number; hard: number } {
  const limit = readObject(from)
  const size = (value: JsonValue) => readInteger(value, Number.POSITIVE_INFINITY)
  return {
    type: readString(member(limit, 'type')),
    soft: size(member(limit, 'soft')),
    hard: size(member(limit, 'hard')),
  }
}

function readIoPriority(from: JsonValue): { class: string; priority: number } {
  const rank = readObject(from)
  return {
    class: readString(member(rank, 'class')),
    priority:
      member(rank, 'priority').value === undefined ? 0 : readUnsigned(member(rank, 'priority')),
  }
}

function readScheduler(from: JsonValue): { policy: string; nice?: number } {
  const scheduler = readObject(from)
  for (const name of ['priority', 'flags', 'runtime', 'deadline', 'period']) {
    const { value, pointer } = member(scheduler, name)
    const none = value === undefined || value === 0 || (Array.isArray(value) && value.length === 0)
    if (!none) throw unsupported(pointer, 'is not supported')
  }
  return {
    policy: readString(member(scheduler, 'policy')),
    ...optional(scheduler, 'nice', readInteger),
  }
}

/** What of a launch spec's process they mean. */
export function planAttributes(config: AttributesConfig): Partial<ProcessSpec> {
  const { rlimits, oomScoreAdj, ioPriority, scheduler, apparmorProfile, selinuxLabel } = config
  if (scheduler !== undefined && scheduler.policy !== 'SCHED_OTHER') {
    throw unsupported('/process/scheduler/policy', `is ${JSON.stringify(scheduler.policy)}`)
  }
  const size = (value: number) => (value >= INFINITY_FROM ? 'infinity' : value)
  return {
    ...(rlimits === undefined
      ? {}
      : {
          rlimits: rlimits.map(({ type, soft, hard }) => ({
            // launch refuses what is none
            type: type as RlimitType,
            soft: size(soft),
            hard: size(hard),
          })),
        }),
    ...(oomScoreAdj === undefined ? {} : { oomScoreAdj }),
    ...(ioPriority === undefined ? {} : { ioPriority: planIoPriority(ioPriority) }),
    ...(scheduler?.nice === undefined ? {} : { nice: scheduler.nice }),
    ...(apparmorProfile ? { apparmorProfile } : {}),
    ...(selinuxLabel ? { selinuxLabel } : {}),
  }
}

function planIoPriority(rank: { class: string; priority: number }) {
  const known = IO_CLASSES.find((name) => name === rank.class)
  if (known !== undefined) return { class: known, priority: rank.priority }
  const pointer = '/process/ioPriority/class'
  throw new RuntimeError('ERR_RUNTIME_CONFIG', `config.json: ${pointer} is no class`, { pointer })
}
