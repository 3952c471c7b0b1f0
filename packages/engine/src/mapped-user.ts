import type { IdMappingPlan } from '@cromwell/ns-native'
import { EngineError } from './errors.ts'
import { type ContainerUser, findUser, type ReadImageFile } from './user.ts'

/**
 * The user of `findUser`, as far as this host can have it: groups that are not mapped are left out
 * (with a single id the kernel allows none at all); a user that is not mapped is an error.
 * Throws EngineError ERR_ENGINE_USER.
 */
export function findMappedUser(
  spec: string,
  readImageFile: ReadImageFile,
  idMapping: IdMappingPlan,
): ContainerUser {
  const user = findUser(spec, readImageFile)
  if (!isMapped(idMapping.uidMappings, user.uid)) throw notMapped('user', user.uid, idMapping)
  if (!isMapped(idMapping.gidMappings, user.gid)) throw notMapped('group', user.gid, idMapping)
  const additionalGids =
    idMapping.kind === 'single'
      ? []
      : user.additionalGids.filter((gid) => isMapped(idMapping.gidMappings, gid))
  return { ...user, additionalGids }
}

function isMapped(mappings: IdMappingPlan['uidMappings'], id: number): boolean {
  return mappings.some(({ containerID, size }) => id >= containerID && id < containerID + size)
}

function notMapped(what: string, id: number, { kind }: IdMappingPlan): EngineError {
  return new EngineError(
    'ERR_ENGINE_USER',
    `cannot run as ${what} ${id}: this host gives containers ${kind === 'single' ? 'one id only, 0' : 'fewer ids'}`,
    {
      hint:
        kind === 'single'
          ? 'run as root inside with -u 0, or get a range of ids in /etc/subuid and /etc/subgid'
          : 'use a smaller id, or get a larger range in /etc/subuid and /etc/subgid',
    },
  )
}
