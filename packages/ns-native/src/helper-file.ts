import { openSync } from 'node:fs'
import { appArmor, FIXED_HELPER, fixedHelper } from './app-armor.ts'
import { type Binding, findHelper } from './binding.ts'

/** A program to execute, and what to execute when that may not be. */
export interface HelperProgram {
  /** Open for as long as this process lives; where there is none it is `path` that is executed. */
  descriptor?: number
  path: string
  otherwise?: string
}

/**
 * What the helper is executed from, so that nothing contained can change it (CVE-2019-5736):
 *
 * 1. Where AppArmor restricts user namespaces, or confines this process: {@link FIXED_HELPER}, if
 *    only root can write it and it is the same as ours.
 * 2. A sealed copy in memory, which nobody can change, and for which noexec or lost mode bits where
 *    the package lies do not matter. Takes the addon; not where AppArmor would not recognise it.
 * 3. The package's own file, by a descriptor that is opened once: whatever is put in its place later
 *    is not executed, and the file itself cannot be written as long as any helper runs from it
 *    (ETXTBSY), which is as long as anything contained lives.
 */
export function helperProgram(binding: Binding | undefined): HelperProgram {
  const kind = binding === undefined ? 'child' : 'addon'
  chosen[kind] ??= choose(binding)
  return chosen[kind]
}

const chosen: { child?: HelperProgram; addon?: HelperProgram } = {}

function choose(binding: Binding | undefined): HelperProgram {
  const packaged = findHelper()
  const { restricts, confinedBy } = appArmor()
  if ((restricts || confinedBy !== undefined) && fixedHelper(packaged) === 'ready') {
    return { path: pinned(FIXED_HELPER), otherwise: pinned(packaged) }
  }
  if (restricts) return { path: pinned(packaged) } // for which there may be a profile
  const sealed = binding?.seal(Buffer.from(`${packaged}\0`)) ?? -1
  if (sealed < 0) return { path: pinned(packaged) } // vm.memfd_noexec
  return { descriptor: sealed, path: `/proc/self/fd/${sealed}`, otherwise: pinned(packaged) }
}

const descriptors = new Map<string, number>()

// Not by /proc/self: a child has put descriptors of its own in the place of low ones.
function pinned(path: string): string {
  const fd = descriptors.get(path) ?? openSync(path, 'r')
  descriptors.set(path, fd)
  return `/proc/${process.pid}/fd/${fd}`
}
