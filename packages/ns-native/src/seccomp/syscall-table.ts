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

function parse(lines: string): Record<SeccompArch, Map<string, number>> {
  const parsed = { x64: new Map<string, number>(), arm64: new Map<string, number>() }
  for (const line of lines.trim().split('\n')) {
    const [name = '', x64 = '-', arm64 = '-'] = line.split(' ')
    if (x64 !== '-') parsed.x64.set(name, Number(x64))
    if (arm64 !== '-') parsed.arm64.set(name, Number(arm64))
  }
  return parsed
}
