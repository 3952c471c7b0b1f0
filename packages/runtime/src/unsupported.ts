import { RuntimeError } from './errors.ts'

/**
 * What the specification knows and this runtime does not enforce. A bundle that relies on one of
 * these would be weaker, or other, than its author believes, so each is refused unless it is empty.
 */
const UNSUPPORTED = [
  '/hooks',
  '/process/commandLine',
  '/process/execCPUAffinity',
  '/linux/devices',
  '/linux/intelRdt',
  '/linux/mountLabel',
  '/linux/netDevices',
  '/linux/personality',
  '/linux/sysctl',
  '/windows',
  '/solaris',
  '/vm',
  '/zos',
  '/freebsd',
] as const

/** Throws RuntimeError ERR_RUNTIME_UNSUPPORTED for the first thing in `config` that is not enforced here. */
export function refuseUnsupported(config: unknown): void {
  for (const pointer of UNSUPPORTED) {
    if (!isEmpty(at(config, pointer))) throw unsupported(pointer, 'is not supported')
  }
}

/** An error about one place in config.json. */
export function unsupported(pointer: string, why: string): RuntimeError {
  return new RuntimeError('ERR_RUNTIME_UNSUPPORTED', `config.json: ${pointer} ${why}`, { pointer })
}

function at(value: unknown, pointer: string): unknown {
  let current = value
  for (const key of pointer.split('/').slice(1)) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, key)) return
    current = (current as Record<string, unknown>)[key] // an object with this own property, as just checked
  }
  return current
}

/** Nothing is asked for by it. */
export function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true
  return typeof value === 'object' && Object.values(value).every(isEmpty)
}
