import { DEFAULT_FILTERS } from './default-filter.data.ts'
import type { DefaultSeccompOptions } from './default-profile.ts'
import type { SeccompArch } from './profile.ts'

// cromwell-init runs on no other machine
const HOST_ARCH: SeccompArch = process.arch === 'arm64' ? 'arm64' : 'x64'

const decoded = new Map<keyof typeof DEFAULT_FILTERS, Uint8Array>()

/**
 * The program of the default profile for an architecture, unless given this machine's: see
 * `default-profile.ts` for what it allows.
 *
 * Compiled beforehand, so that starting a process does not wait for the compiler. Every call with
 * the same arguments returns the same array, which is not to be written to.
 */
export function defaultSeccomp(
  arch: SeccompArch = HOST_ARCH,
  options: DefaultSeccompOptions = {},
): Uint8Array {
  const key = options.allowNestedNamespaces === true ? (`${arch}-nested` as const) : arch
  const program = decoded.get(key) ?? new Uint8Array(Buffer.from(DEFAULT_FILTERS[key], 'base64'))
  decoded.set(key, program)
  return program
}
