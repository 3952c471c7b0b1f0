import type { IdMappingPlan } from '@cromwell/ns-native'
import { EngineError } from './errors.ts'
import { type ContainerUser, findUser, type ReadImageFile } from './user.ts'

/** A user, and the mapping in which there is one. */
export interface MappedUser {
  user: ContainerUser
  idMapping: IdMappingPlan
}

/**
 * The user of `findUser`, as far as this host can have it. A host's single id becomes the user that
 * is wanted, whichever that is, without supplementary groups, which the kernel then allows none of.
 * Elsewhere groups that are not mapped are left out, and a user that is not mapped is an error.
 * Throws EngineError ERR_ENGINE_USER.
 */
export function findMappedUser(
  spec: string,
  readImageFile: ReadImageFile,
  idMapping: IdMappingPlan,
): MappedUser {
  const user = findUser(spec, readImageFile)
  const { kind, uidMappings, gidMappings } = idMapping
  if (kind === 'single') {
    const uids = renumbered(uidMappings, user.uid)
    const gids = renumbered(gidMappings, user.gid)
    return {
      user: { ...user, additionalGids: [] },
      idMapping: { ...idMapping, uidMappings: uids, gidMappings: gids },
    }
  }
  if (!isMapped(uidMappings, user.uid)) throw notMapped('user', user.uid)
  if (!isMapped(gidMappings, user.gid)) throw notMapped('group', user.gid)
  const additionalGids = user.additionalGids.filter((gid) => isMapped(gidMappings, gid))
  return { user: { ...user, additionalGids }, idMapping }
}

function renumbered(mappings: IdMappingPlan['uidMappings'], id: number) {
  return mappings.map((mapping) => ({ ...mapping, containerID: id }))
}

function isMapped(mappings: IdMappingPlan['uidMappings'], id: number): boolean {
  return mappings.some(({ containerID, size }) => id >= containerID && id < containerID + size)
}

function notMapped(what: string, id: number): EngineError {
  return new EngineError(
    'ERR_ENGINE_USER',
    `cannot run as ${what} ${id}: this host gives containers fewer ids`,
    { hint: 'use a smaller id, or get a larger range in /etc/subuid and /etc/subgid' },
  )
}
