import { join, relative } from 'node:path'
import type { LaunchSpec, Mount } from './launch-spec.ts'

const CGROUPS = '/sys/fs/cgroup'

/**
 * Where a mount of a spec shows the host's cgroup tree so that it can be written to, if it does: a bind
 * of /sys, or of a part that has /sys/fs/cgroup in it (CVE-2023-25809). Not where it is read-only or
 * covered by a later mount or a mask, or `hostCgroups` says that it is meant.
 *
 * A new cgroup namespace does not help: it changes what /proc/self/cgroup says, and not what a bind shows.
 */
export function hostCgroupsIn(spec: LaunchSpec, index: number): string | undefined {
  const mount = spec.mounts[index]
  if (mount?.type !== 'bind' || mount.readonly === true || mount.hostCgroups === true)
    return undefined
  const shown = placeOfCgroups(mount)
  if (shown === undefined) return undefined
  const later = spec.mounts.slice(index + 1).map(({ destination }) => destination)
  const covers = [...later, ...spec.maskedPaths, ...spec.readonlyPaths]
  return covers.some((path) => isAtOrBelow(shown, join(path))) ? undefined : shown
}

/** Where below its destination a bind has /sys/fs/cgroup or a part of it. */
function placeOfCgroups(mount: Extract<Mount, { type: 'bind' }>): string | undefined {
  const source = join(mount.source, '.')
  if (isAtOrBelow(source, CGROUPS)) return join(mount.destination)
  const isAbove = isAtOrBelow(source, '/sys') && isAtOrBelow(CGROUPS, source)
  if (!isAbove || mount.recursive === false) return undefined
  return join(mount.destination, relative(source, CGROUPS))
}

function isAtOrBelow(path: string, top: string): boolean {
  const [inner, outer] = [path, top].map((one) => (one.endsWith('/') ? one : `${one}/`))
  return inner?.startsWith(outer ?? '') === true
}
