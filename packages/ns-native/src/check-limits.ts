import { PolicyError } from './errors.ts'
import type { LaunchSpec } from './launch-spec.ts'
import type { CgroupSpec, IoLimit, LimitName, Limits } from './limits.ts'

const CPUS_MIN = 0.01
const CPUS_MAX = 8192
const PIDS_MAX = 4_194_303 // one below PID_MAX_LIMIT of linux/threads.h
const NAMES: readonly LimitName[] = ['memory', 'cpus', 'pids', 'io', 'wall', 'cpu', 'output']

/** Throws ERR_NS_SPEC, with a JSON pointer, for limits that make no sense. */
export function checkLimits({ limits, cgroup, allowDegraded }: LaunchSpec): void {
  if (limits !== undefined) checkAmounts(limits)
  if (cgroup !== undefined) checkGroup(cgroup)
  for (const [index, name] of (allowDegraded ?? []).entries()) {
    const at = `/allowDegraded/${index}`
    check(NAMES.includes(name), at, `must be one of ${NAMES.join(', ')}, but is ${show(name)}`)
  }
}

function checkAmounts(limits: Limits): void {
  const { memoryBytes, memorySwapBytes, cpus, pids, io, wallMs, cpuMs, outputBytes } = limits
  checkInteger(memoryBytes, 'memoryBytes')
  checkInteger(memorySwapBytes, 'memorySwapBytes', memoryBytes)
  const withMemory = memorySwapBytes === undefined || memoryBytes !== undefined
  check(withMemory, '/limits/memorySwapBytes', 'needs memoryBytes')
  const range = cpus === undefined || (cpus >= CPUS_MIN && cpus <= CPUS_MAX)
  check(range, '/limits/cpus', `must be from ${CPUS_MIN} to ${CPUS_MAX}, but is ${show(cpus)}`)
  checkInteger(pids, 'pids', 1, PIDS_MAX)
  for (const [index, limit] of (io ?? []).entries()) checkIo(limit, `io/${index}`)
  checkInteger(wallMs, 'wallMs')
  checkInteger(cpuMs, 'cpuMs')
  checkInteger(outputBytes, 'outputBytes')
}

function checkIo({ device, ...amounts }: IoLimit, at: string): void {
  const valid = /^\d{1,5}:\d{1,7}$/.test(device)
  check(valid, `/limits/${at}/device`, `must be major:minor, but is ${show(device)}`)
  for (const [name, amount] of Object.entries(amounts)) checkInteger(amount, `${at}/${name}`)
}

// A path of its own, and no file of the groups around it: "cgroup.procs" would be one.
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,200}$/

function checkGroup({ parent, name }: CgroupSpec): void {
  const clean = parent === undefined || /^\/(?:[^/\0]+\/?)*$/.test(parent)
  const at = '/cgroup/parent'
  check(clean && !parent?.split('/').includes('..'), at, 'must be an absolute path without ..')
  const named =
    name === undefined || (NAME.test(name) && !/^(?:cgroup|cpu|memory|pids|io)\./.test(name))
  check(named, '/cgroup/name', `must match ${NAME}, but is ${show(name)}`)
}

function checkInteger(
  value: number | undefined,
  at: string,
  min = 1,
  max = Number.MAX_SAFE_INTEGER,
): void {
  const valid = value === undefined || (Number.isInteger(value) && value >= min && value <= max)
  const range = `must be an integer from ${min} to ${max}, but is ${show(value)}`
  check(valid, `/limits/${at}`, range)
}

function show(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 100) ?? String(value)
}

function check(condition: boolean, pointer: string, why: string): asserts condition {
  if (condition) return
  throw new PolicyError(`invalid launch spec: ${pointer}: ${why}`, { pointer }, 'ERR_NS_SPEC')
}
