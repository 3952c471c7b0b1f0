import { UnsupportedError } from './errors.ts'
import { idMappingFacts } from './host-files.ts'
import { mappingKey } from './id-mapping-key.ts'
import { type IdRange, isCovered, parseIdMap, parseSubordinateIds } from './id-ranges.ts'
import type { IdMapping, IdMappingPlan } from './launch-spec.ts'

/** What decides how ids can be mapped; all of it is passed in, nothing is looked up. */
export interface IdMappingFacts {
  uid: number
  gid: number
  /** The caller's login name: entries of /etc/subuid go by it or by the numeric uid. */
  userName: string
  /** Contents of /etc/subuid and /etc/subgid; empty where there is none. */
  subuid: string
  subgid: string
  /** Absolute paths of the setuid helpers, where installed. */
  newuidmap?: string | undefined
  newgidmap?: string | undefined
  /** Contents of /proc/self/uid_map. */
  ownMap: string
  /** Contents of /proc/self/gid_map; taken to be like `ownMap` when left out. */
  ownGidMap?: string
}

/** The best mapping that a host allows, and why it is not a better one. */
export interface SelectedIdMapping extends IdMappingPlan {
  /** With `single`: why there is only one id inside, and what would change it. */
  note?: string
}

/**
 * The best id mapping for these facts: root's own ids; or the caller as id 0 with its subordinate
 * ids from 1 up; or the caller as id 0 alone, with a note that says what is missing.
 *
 * No id of the host is mapped twice. Source: user_namespaces(7), subuid(5), newuidmap(1).
 *
 * @throws NamespaceError ERR_NS_UNSUPPORTED when the caller's subordinate ids overlap each other or
 *   the caller's own id
 */
export function selectIdMapping(facts: IdMappingFacts): SelectedIdMapping {
  const ownUids = parseIdMap(facts.ownMap)
  const ownGids = facts.ownGidMap === undefined ? ownUids : parseIdMap(facts.ownGidMap)
  if (facts.uid === 0) return identity(facts, ownUids, ownGids)

  const uidRanges = rangesOf(facts, 'subuid')
  const gidRanges = rangesOf(facts, 'subgid')
  const { newuidmap, newgidmap } = facts
  if (uidRanges.length === 0 || gidRanges.length === 0) {
    return single(facts, noRanges(facts, uidRanges, gidRanges))
  }
  if (!isCovered(uidRanges, ownUids) || !isCovered(gidRanges, ownGids)) {
    return single(facts, rangesOutsideNamespace(facts))
  }
  if (newuidmap === undefined || newgidmap === undefined) {
    return single(facts, noHelpers(newuidmap, newgidmap))
  }
  const uidMappings = callerThenRanges(facts.uid, uidRanges)
  const gidMappings = callerThenRanges(facts.gid, gidRanges)
  const key = mappingKey('subid', uidMappings.slice(1), gidMappings.slice(1))
  return { kind: 'subid', uidMappings, gidMappings, key, newuidmap, newgidmap }
}

/** The id outside that an id inside stands for, or undefined when it is not mapped. */
export function hostIdOf(mappings: readonly IdMapping[], containerId: number): number | undefined {
  for (const { containerID, hostID, size } of mappings) {
    const offset = containerId - containerID
    if (offset >= 0 && offset < size) return hostID + offset
  }
  return undefined
}

function identity(
  facts: IdMappingFacts,
  uids: readonly IdRange[],
  gids: readonly IdRange[],
): SelectedIdMapping {
  if (totalSize(uids) <= 1 || totalSize(gids) <= 1) {
    return single(facts, 'the namespace this root lives in has only one user or group id itself')
  }
  const uidMappings = uids.map(toItself)
  const gidMappings = gids.map(toItself)
  const key = mappingKey('identity', uidMappings, gidMappings)
  return { kind: 'identity', uidMappings, gidMappings, key }
}

function single({ uid, gid }: IdMappingFacts, note: string): SelectedIdMapping {
  return {
    kind: 'single',
    uidMappings: [{ containerID: 0, hostID: uid, size: 1 }],
    gidMappings: [{ containerID: 0, hostID: gid, size: 1 }],
    key: 'single',
    note,
  }
}

function toItself({ start, size }: IdRange): IdMapping {
  return { containerID: start, hostID: start, size }
}

function callerThenRanges(own: number, ranges: readonly IdRange[]): IdMapping[] {
  const mappings: IdMapping[] = [{ containerID: 0, hostID: own, size: 1 }]
  let next = 1
  for (const { start, size } of ranges) {
    mappings.push({ containerID: next, hostID: start, size })
    next += size
  }
  return mappings
}

function totalSize(ranges: readonly IdRange[]): number {
  return ranges.reduce((total, { size }) => total + size, 0)
}

function rangesOf(facts: IdMappingFacts, file: 'subuid' | 'subgid'): IdRange[] {
  const own = file === 'subuid' ? facts.uid : facts.gid
  const ranges = parseSubordinateIds(facts[file], [facts.userName, String(facts.uid)])
  const taken: IdRange[] = [{ start: own, size: 1 }]
  for (const range of ranges) {
    const other = taken.find(
      ({ start, size }) => range.start < start + size && start < range.start + range.size,
    )
    if (other !== undefined) throw overlap(file, range, other === taken[0] ? undefined : other)
    taken.push(range)
  }
  return ranges
}

function overlap(file: string, range: IdRange, other: IdRange | undefined): UnsupportedError {
  const what = other === undefined ? 'the caller’s own id' : `${lineOf(other)} of the same user`
  return new UnsupportedError(
    `cannot map ids: ${lineOf(range)} in /etc/${file} overlaps ${what}, and an id can be mapped only once`,
    {
      missing: ['id-mapping'],
      path: `/etc/${file}`,
      hint: `as root, correct the line in /etc/${file}`,
    },
  )
}

function lineOf({ start, size }: IdRange): string {
  return `${start}:${size}`
}

function noRanges(
  { userName, subuid, subgid }: IdMappingFacts,
  uidRanges: readonly IdRange[],
  gidRanges: readonly IdRange[],
): string {
  // usermod refuses nothing, so the range offered must be one that nobody has
  const taken = [...parseSubordinateIds(subuid), ...parseSubordinateIds(subgid)]
  const first = taken.reduce((next, { start, size }) => Math.max(next, start + size), 100_000)
  const range = `${first}-${first + 65_535}`
  const missing = [
    ...(uidRanges.length === 0 ? ['subuid'] : []),
    ...(gidRanges.length === 0 ? ['subgid'] : []),
  ]
  const files = missing.map((file) => `/etc/${file}`).join(' and ')
  const options = missing.map((file) => `--add-${file}s ${range}`).join(' ')
  return `${userName} has no range of ids in ${files}; as root: usermod ${options} ${userName}`
}

function rangesOutsideNamespace({ userName }: IdMappingFacts): string {
  return (
    `the ranges of ${userName} in /etc/subuid and /etc/subgid do not exist in the user namespace ` +
    'this runs in; give that container more ids, or take the ranges from /proc/self/uid_map'
  )
}

function noHelpers(newuidmap: string | undefined, newgidmap: string | undefined): string {
  const missing = [
    ...(newuidmap === undefined ? ['newuidmap'] : []),
    ...(newgidmap === undefined ? ['newgidmap'] : []),
  ].join(' and ')
  return (
    `there are ranges in /etc/subuid and /etc/subgid, but no ${missing} to map them; ` +
    'as root: apt-get install uidmap (elsewhere: shadow-utils, on Alpine shadow-subids)'
  )
}

/** Which ids are inside, and who they are outside; pure. */
export const idmap = {
  /** What this process and the files of this machine say. */
  facts: idMappingFacts,
  /** The best mapping that the facts allow, with a note on what would allow a better one. */
  select: selectIdMapping,
  /** The id outside of an id inside, or undefined where it is not mapped. */
  hostIdOf,
} as const
