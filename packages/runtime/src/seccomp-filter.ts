import {
  compileSeccomp,
  defaultSeccomp,
  defaultSeccompProfile,
  PolicyError,
  type SeccompProfile,
} from '@cromwell/ns-native'
import { RuntimeError } from './errors.ts'
import type { RuntimeConfig } from './runtime-spec.ts'

/**
 * The program of `linux.seccomp`; undefined without one.
 *
 * The default profile, which the engine writes into its bundles, is recognised and comes compiled.
 * Like runc, this passes over names of system calls that it does not know.
 * Throws RuntimeError ERR_RUNTIME_CONFIG with a JSON pointer.
 */
export function seccompFilter({ process, linux }: RuntimeConfig): Uint8Array | undefined {
  const profile = linux?.seccomp
  if (profile === undefined) return undefined
  if (isDefault(profile)) return defaultSeccomp()
  const capabilities = process.capabilities?.bounding ?? []
  try {
    return compileSeccomp(profile, { capabilities, unknownSyscalls: 'ignore' }).program
  } catch (cause) {
    if (!(cause instanceof PolicyError)) throw cause
    const pointer = `/linux/seccomp${cause.pointer}`
    throw new RuntimeError('ERR_RUNTIME_CONFIG', `config.json: /linux/seccomp: ${cause.message}`, {
      pointer,
      cause,
    })
  }
}

let text: string | undefined

function isDefault(profile: SeccompProfile): boolean {
  text ??= JSON.stringify(defaultSeccompProfile())
  return JSON.stringify(profile) === text
}
