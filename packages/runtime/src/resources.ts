import type { IoLimit, Limits } from '@cromwell/ns-native'
import {
  type JsonValue,
  member,
  optional,
  readArray,
  readInteger,
  readObject,
} from './json-reader.ts'
import type { ResourcesConfig, ThrottleConfig } from './runtime-spec.ts'
import { isEmpty, unsupported } from './unsupported.ts'

/** What each part of `linux.resources` may have in it; the rest of what the specification knows is refused. */
const HELD: Record<string, readonly string[]> = {
  memory: ['limit', 'swap'],
  cpu: ['quota', 'period'],
  pids: ['limit'],
  blockIO: [
    'throttleReadBpsDevice',
    'throttleWriteBpsDevice',
    'throttleReadIOPSDevice',
    'throttleWriteIOPSDevice',
  ],
}
const PERIOD_MICROS = 100_000

/** `linux.resources`, after every part of it that nothing here would hold has been refused. */
export function readResources(from: JsonValue): ResourcesConfig {
  const resources = readObject(from)
  refuseOthers(resources, [...Object.keys(HELD), 'devices'])
  refusePermissiveDevices(member(resources, 'devices'))
  for (const [part, names] of Object.entries(HELD)) {
    const group = member(resources, part)
    if (group.value !== undefined) refuseOthers(readObject(group), names)
  }
  const throttles = (name: string) => ({
    ...optional(member(resources, 'blockIO'), name, (list) => readArray(list, readThrottle)),
  })
  const [memory, cpu, pids, blockIO] = ['memory', 'cpu', 'pids', 'blockIO'].map((name) =>
    member(resources, name),
  )
  return {
    ...(isGiven(memory)
      ? {
          memory: {
            ...optional(memory, 'limit', readInteger),
            ...optional(memory, 'swap', readInteger),
          },
        }
      : {}),
    ...(isGiven(cpu)
      ? { cpu: { ...optional(cpu, 'quota', readInteger), ...optional(cpu, 'period', readInteger) } }
      : {}),
    ...(isGiven(pids) ? { pids: { ...optional(pids, 'limit', readInteger) } } : {}),
    ...(isGiven(blockIO)
      ? { blockIO: Object.assign({}, ...(HELD['blockIO'] ?? []).map(throttles)) }
      : {}),
  }
}

function isGiven(from: JsonValue | undefined): from is JsonValue {
  return from?.value !== undefined
}

function refuseOthers(object: JsonValue, names: readonly string[]): void {
  for (const name of Object.keys(object.value as object)) {
    const { value, pointer } = member(object, name)
    if (!names.includes(name) && value !== 0 && !isEmpty(value))
      throw unsupported(pointer, 'is not supported')
  }
}

/**
 * `runc spec` writes a device rule that denies all; that holds without a device cgroup too, since no
 * device node can be made in a user namespace and /dev has only the harmless ones.
 */
function refusePermissiveDevices(devices: JsonValue): void {
  if (devices.value === undefined) return
  readArray(devices, (rule) => {
    if (member(readObject(rule), 'allow').value !== false) {
      throw unsupported(rule.pointer, 'allows devices, which is not supported')
    }
  })
}

function readThrottle(from: JsonValue): ThrottleConfig {
  const device = readObject(from)
  const number = (name: string) => readInteger(member(device, name))
  return { major: number('major'), minor: number('minor'), rate: number('rate') }
}

/** The same as the limits of a launch; 0 and less is none, as runc and crun take it. */
export function planLimits({ memory, cpu, pids, blockIO }: ResourcesConfig): Limits {
  const { limit = 0, swap = 0 } = memory ?? {}
  const { quota = 0, period = 0 } = cpu ?? {}
  const { limit: most = 0 } = pids ?? {}
  const io = planTransfer(blockIO ?? {})
  return {
    ...(limit > 0 ? { memoryBytes: limit } : {}),
    ...(limit > 0 && swap !== 0
      ? { memorySwapBytes: swap < 0 ? Number.MAX_SAFE_INTEGER : swap }
      : {}),
    ...(quota > 0 ? { cpus: quota / (period > 0 ? period : PERIOD_MICROS) } : {}),
    ...(most > 0 ? { pids: most } : {}),
    ...(io.length > 0 ? { io } : {}),
  }
}

function planTransfer(blockIO: NonNullable<ResourcesConfig['blockIO']>): IoLimit[] {
  const devices = new Map<string, IoLimit>()
  const add = (key: keyof Omit<IoLimit, 'device'>, list: ThrottleConfig[] = []) => {
    for (const { major, minor, rate } of list) {
      const device = `${major}:${minor}`
      if (rate > 0) devices.set(device, { ...devices.get(device), device, [key]: rate })
    }
  }
  add('readBytes', blockIO.throttleReadBpsDevice)
  add('writeBytes', blockIO.throttleWriteBpsDevice)
  add('readOperations', blockIO.throttleReadIOPSDevice)
  add('writeOperations', blockIO.throttleWriteIOPSDevice)
  return [...devices.values()]
}
