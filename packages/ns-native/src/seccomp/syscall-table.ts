import { FOREIGN_CALLS } from './foreign-calls.data.ts'
import type { SeccompArch } from './profile.ts'
import { SYSCALL_LINES } from './syscall-table.data.ts'

let numbers: Record<SeccompArch, ReadonlyMap<string, number>> | undefined

/**
 * The system calls of an architecture and their numbers.
 *
 * Source: the kernel's own headers, see `dev/generate-syscall-table.mjs`.
 */
export function syscallNumbers(arch: SeccompArch): ReadonlyMap<string, number> {
  // parsed when first asked for: a start-up that never compiles a profile pays for a string only
  numbers ??= parse(SYSCALL_LINES)
  return numbers[arch]
}

/** Whether a system call of this name exists on any architecture that we know. */
export function isSyscallName(name: string): boolean {
  return syscallNumbers('x64').has(name) || syscallNumbers('arm64').has(name)
}

let foreign: ReadonlySet<string> | undefined

/** Whether a system call of this name exists, but on none of the architectures that we know. */
export function isForeignCall(name: string): boolean {
  foreign ??= new Set(FOREIGN_CALLS.trim().split(/\s+/))
  return foreign.has(name)
}

let names: Record<SeccompArch, ReadonlyMap<number, string>> | undefined

/** The name of a call by its number; undefined for a number that is none. */
export function syscallName(arch: SeccompArch, number: number): string | undefined {
  const byNumber = (of: SeccompArch) =>
    new Map([...syscallNumbers(of)].map(([name, value]) => [value, name]))
  names ??= { x64: byNumber('x64'), arm64: byNumber('arm64') }
  return names[arch].get(number)
}

function parse(lines: string): Record<SeccompArch, Map<string, number>> {
  const parsed = { x64: new Map<string, number>(), arm64: new Map<string, number>() }
  for (const line of lines.trim().split('\n')) {
    const [name = '', x64 = '-', arm64 = '-'] = line.split(' ')
    if (x64 !== '-') parsed.x64.set(name, Number(x64))
    if (arm64 !== '-') parsed.arm64.set(name, Number(arm64))
  }
  return parsed
}
