import { existsSync } from 'node:fs'
import type { Facility } from '../facility.ts'
import { readText } from '../host-files.ts'

/** Where a container shows that it is one; for tests. */
export interface OuterSandboxFiles {
  status: string
  mountinfo: string
  markers: readonly string[]
}

const FILES: OuterSandboxFiles = {
  status: '/proc/self/status',
  mountinfo: '/proc/self/mountinfo',
  markers: ['/.dockerenv', '/run/.containerenv', '/run/systemd/container'],
}

/**
 * What this process itself is already kept in: not wrong, but most often why something else does not
 * work. A mount in /proc keeps the kernel from giving a new one to a namespace.
 */
export function outerSandbox(files: Partial<OuterSandboxFiles> = {}): Facility {
  const { status, mountinfo, markers } = { ...FILES, ...files }
  const found = [
    ...(markers.some((path) => existsSync(path)) ? ['a container'] : []),
    ...(/^Seccomp:\s*2$/m.test(readText(status)) ? ['a seccomp filter'] : []),
    ...(/^NoNewPrivs:\s*1$/m.test(readText(status)) ? ['no_new_privs'] : []),
    ...(hasMountsInProc(readText(mountinfo)) ? ['a masked /proc'] : []),
  ]
  const name = 'outer-sandbox'
  if (found.length === 0) return { name, ok: true, detail: 'none' }
  return {
    name,
    ok: true,
    detail: `this process runs under ${found.join(', ')}`,
    ...(found.includes('no_new_privs')
      ? { why: 'with no_new_privs newuidmap gains no rights: only one id can be mapped' }
      : {}),
  }
}

/** Mount points are the fifth field; /proc/sys/fs/binfmt_misc is everybody's and harmless. */
function hasMountsInProc(mountinfo: string): boolean {
  const points = mountinfo.split('\n').map((line) => line.split(' ')[4] ?? '')
  return points.some(
    (point) => point.startsWith('/proc/') && !point.startsWith('/proc/sys/fs/binfmt_misc'),
  )
}
