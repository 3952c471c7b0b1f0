import { join } from 'node:path'

/** One mounted hierarchy, and the group of this process in it. */
export interface Hierarchy {
  mountPoint: string
  /** The directory of this process's own group. */
  own: string
}

/** The control group hierarchies of a host, as this process sees them. */
export interface CgroupLayout {
  v2?: Hierarchy & {
    /** Mounted with `nsdelegate`: who is in a cgroup namespace cannot change its root's limits. */
    nsdelegate: boolean
  }
  /** By controller, such as `memory`; those that share a mount share the value. */
  v1: ReadonlyMap<string, Hierarchy>
}

/** Which controllers version 1 can have; other words among a mount's options are no controllers. */
const V1_CONTROLLERS = ['cpu', 'cpuacct', 'memory', 'pids', 'blkio', 'freezer']

/** Reads `/proc/self/mountinfo` and `/proc/self/cgroup`: proc_pid_mountinfo(5), cgroups(7). */
export function parseLayout(mountinfo: string, selfCgroup: string): CgroupLayout {
  const paths = parseGroups(selfCgroup)
  const v1 = new Map<string, Hierarchy>()
  let v2: CgroupLayout['v2']
  for (const { root, mountPoint, type, options } of parseMounts(mountinfo)) {
    if (type === 'cgroup2') {
      const own = directoryOf(mountPoint, root, paths.get(''))
      if (own === undefined) continue
      // the usual place before others
      if (v2 === undefined || mountPoint === '/sys/fs/cgroup') {
        v2 = { mountPoint, own, nsdelegate: options.includes('nsdelegate') }
      }
    } else {
      for (const controller of V1_CONTROLLERS) {
        if (!options.includes(controller) || v1.has(controller)) continue
        const own = directoryOf(mountPoint, root, paths.get(controller))
        if (own !== undefined) v1.set(controller, { mountPoint, own })
      }
    }
  }
  return { ...(v2 === undefined ? {} : { v2 }), v1 }
}

interface CgroupMount {
  root: string
  mountPoint: string
  type: 'cgroup' | 'cgroup2'
  options: string[]
}

function parseMounts(mountinfo: string): CgroupMount[] {
  const mounts: CgroupMount[] = []
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ')
    const [type, , options = ''] = after.split(' ')
    if (type !== 'cgroup' && type !== 'cgroup2') continue
    const [, , , root = '', mountPoint = ''] = before.split(' ').map(unescapeOctal)
    mounts.push({ root, mountPoint, type, options: options.split(',') })
  }
  return mounts
}

/** The path of this process's group by controller; `''` is version 2. */
export function parseGroups(selfCgroup: string): Map<string, string> {
  const paths = new Map<string, string>()
  for (const line of selfCgroup.split('\n')) {
    const [, names = '', path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    if (path === undefined) continue
    for (const name of names.split(',')) paths.set(name, path)
  }
  return paths
}

// A mount may show a part of the hierarchy only, and the group may be outside of it.
function directoryOf(mountPoint: string, root: string, path: string | undefined) {
  if (path === undefined || path.split('/').includes('..')) return undefined
  if (path === root) return mountPoint
  if (root === '/') return join(mountPoint, path)
  if (!path.startsWith(`${root}/`)) return undefined
  return join(mountPoint, path.slice(root.length))
}

// Spaces and the like are written as \040.
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}
