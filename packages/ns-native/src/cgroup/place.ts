import { existsSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isOurs, readIfThere, readWords } from './group-files.ts'
import type { CgroupLayout } from './layout.ts'
import type { SystemdManager } from './systemd-scope.ts'

/** What a container's group may be wanted to control. */
export type Controller = 'memory' | 'cpu' | 'pids' | 'io'

/** Where a container's group can be made. */
export type Place =
  | {
      kind: 'cgroup2'
      /** The directory to make it in. */
      parent: string
      controllers: ReadonlySet<Controller>
      /** Those of the needed ones that `parent` has, but does not hand down yet. */
      enable: readonly Controller[]
      nsdelegate: boolean
    }
  | {
      kind: 'systemd'
      manager: SystemdManager
      mountPoint: string
      controllers: ReadonlySet<Controller>
      nsdelegate: boolean
    }
  | {
      kind: 'cgroup1'
      /** The directories to make it in, by the names of version 1. */
      parents: ReadonlyMap<string, string>
      /** A version 2 hierarchy beside them, which can still freeze and kill. */
      unified?: string
      controllers: ReadonlySet<Controller>
    }

/** What there is to find a place in. */
export interface PlaceFacts {
  layout: CgroupLayout
  /** systemd, if it runs this host, and can be asked. */
  manager: SystemdManager | undefined
  /** Whether systemd runs this host, and so owns every group that it has not given away. */
  systemd: boolean
  /** Whether systemd has given a group away. */
  isDelegated(directory: string): boolean
}

const V1_NAMES: Record<Controller, string> = {
  memory: 'memory',
  cpu: 'cpu',
  pids: 'pids',
  io: 'blkio',
}

/** The places that this process may use, best first. */
export function findPlaces(needed: readonly Controller[], facts: PlaceFacts): Place[] {
  const { v2 } = facts.layout
  const places: Place[] = []
  const delegated = v2 && nearestDelegated(needed, facts)
  if (v2 && delegated) places.push(placeBelow(delegated, needed, v2.nsdelegate))
  if (v2 && facts.manager !== undefined) {
    const { mountPoint, nsdelegate } = v2
    const group = join(mountPoint, facts.manager.group)
    const controllers = new Set(known(readWords(group, 'cgroup.controllers')))
    places.push({ kind: 'systemd', manager: facts.manager, mountPoint, controllers, nsdelegate })
  }
  const v1 = versionOne(facts.layout)
  if (v1 !== undefined) places.push(v1)
  const covered = ({ controllers }: Place) => needed.filter((name) => controllers.has(name)).length
  return places.sort((a, b) => covered(b) - covered(a)) // stable: the first of the equally good
}

/** A place in a group that the caller names; undefined when it is not this process's to use. */
export function placeIn(
  parent: string,
  needed: readonly Controller[],
  { layout }: PlaceFacts,
): Place | undefined {
  return isOurs(parent, 2) ? placeBelow(parent, needed, layout.v2?.nsdelegate === true) : undefined
}

function placeBelow(
  parent: string,
  needed: readonly Controller[],
  nsdelegate: boolean,
): Extract<Place, { kind: 'cgroup2' }> {
  const enabled = known(readWords(parent, 'cgroup.subtree_control'))
  const available = mayHandDown(parent) ? known(readWords(parent, 'cgroup.controllers')) : []
  const controllers = new Set([...enabled, ...available])
  const enable = needed.filter((name) => controllers.has(name) && !enabled.includes(name))
  return { kind: 'cgroup2', parent, controllers, enable, nsdelegate }
}

/**
 * From the own group upwards: the first in which a group with controllers can be made. A group with
 * processes in it cannot hand down controllers (cgroups(7), "no internal processes" rule), and what
 * systemd has not given away it may change at any time.
 */
function nearestDelegated(needed: readonly Controller[], facts: PlaceFacts): string | undefined {
  const { v2 } = facts.layout
  if (v2 === undefined) return undefined
  for (let directory = v2.own; ; directory = dirname(directory)) {
    if (!isOurs(directory, 2)) return undefined
    const given = !facts.systemd || (facts.isDelegated(directory) && !isUserManager(directory))
    if (given) {
      const { controllers } = placeBelow(directory, needed, false)
      const some = needed.length === 0 || needed.some((name) => controllers.has(name))
      if (some) return directory
    }
    if (directory === v2.mountPoint || directory === '/') return undefined
  }
}

// The real root is the one group that may have both; it alone has no cgroup.events.
function mayHandDown(directory: string): boolean {
  return (
    readIfThere(directory, 'cgroup.procs') === '' || !existsSync(join(directory, 'cgroup.events'))
  )
}

// It is given to the user's systemd, not to us.
function isUserManager(directory: string): boolean {
  return /^user@\d+\.service$/.test(basename(directory))
}

function versionOne({ v1, v2 }: CgroupLayout): Place | undefined {
  const parents = new Map<string, string>()
  for (const [name, { own }] of v1) if (isOurs(own, 1)) parents.set(name, own)
  const controllers = new Set<Controller>()
  for (const [name, old] of Object.entries(V1_NAMES)) {
    if (parents.has(old)) controllers.add(name as Controller) // the keys of V1_NAMES
  }
  if (controllers.size === 0) return undefined
  const unified = v2 !== undefined && isOurs(v2.own, 2) ? v2.own : undefined
  return {
    kind: 'cgroup1',
    parents,
    controllers,
    ...(unified === undefined ? {} : { unified }),
  }
}

function known(words: readonly string[]): Controller[] {
  return words.filter((word) => Object.hasOwn(V1_NAMES, word)) as Controller[] // just checked
}
