import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DEFAULT_MASKED_PATHS } from './defaults.ts'

const CPUS = '/sys/devices/system/cpu'

/**
 * {@link DEFAULT_MASKED_PATHS} and what cannot stand there because the host decides how many there
 * are: each processor's `thermal_throttle`, which tells when others compute (moby GHSA-6fw5-f8r9-fgfm).
 */
export function defaultMaskedPaths(cpus: string = CPUS): string[] {
  return [...DEFAULT_MASKED_PATHS, ...thermalThrottle(cpus).map((name) => join(CPUS, name))]
}

// Either all processors have it or none. Those that are not running now are named too: a path that is
// missing is skipped.
function thermalThrottle(cpus: string): string[] {
  if (!existsSync(join(cpus, 'cpu0', 'thermal_throttle'))) return []
  return readdirSync(cpus)
    .filter((name) => /^cpu\d+$/.test(name))
    .map((name) => join(name, 'thermal_throttle'))
}
