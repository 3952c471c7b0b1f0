import { readFileSync } from 'node:fs'
import type { Platform } from './platform.ts'

const ARCHITECTURES: Record<string, string> = {
  x64: 'amd64',
  ia32: '386',
  mipsel: 'mipsle',
  mips64el: 'mips64le',
  ppc64: 'ppc64le',
}

/** What {@link hostPlatform} looks at; the defaults are this process and this machine. */
export interface HostFacts {
  /** Node's name of the architecture. Default `process.arch`. */
  arch?: string
  /** The text of `/proc/cpuinfo`, read for 32-bit ARM only. */
  cpuinfo?: string
}

/** The platform that this machine runs: always Linux, with the variant on ARM. */
export function hostPlatform(facts: HostFacts = {}): Platform {
  const arch = facts.arch ?? process.arch
  const architecture = ARCHITECTURES[arch] ?? arch
  if (architecture === 'arm64') return { os: 'linux', architecture, variant: 'v8' }
  if (architecture !== 'arm') return { os: 'linux', architecture }
  return { os: 'linux', architecture, variant: armVariant(facts.cpuinfo ?? readCpuinfo()) }
}

/**
 * A 64-bit processor says 8 (or AArch64) and runs v7; so does a v7 one. The first Raspberry Pi says 7
 * and is a v6, which only the model name tells.
 */
function armVariant(cpuinfo: string): string {
  const version = /^CPU architecture\s*:\s*(\w+)/m.exec(cpuinfo)?.[1] ?? '7'
  if (version === '7' && /^model name\s*:\s*ARMv6/im.test(cpuinfo)) return 'v6'
  const number = Number.parseInt(version, 10)
  if (Number.isNaN(number)) return 'v8'
  return `v${Math.min(Math.max(number, 5), 8)}`
}

function readCpuinfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8')
  } catch {
    return ''
  }
}
