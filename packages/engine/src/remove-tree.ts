import type { IdMappingPlan } from '@cromwell/ns-native'
import { RootfsError, removeTree } from '@cromwell/rootfs'
import type { RemoveTree } from '@cromwell/runtime'

/**
 * Removes trees that containers have written into. What belongs to their ids only a process with
 * those ids can remove, so where the caller's own rights do not suffice a worker does it.
 */
export function createTreeRemover(idMapping: () => IdMappingPlan): RemoveTree {
  return async (directory) => {
    try {
      removeTree(directory)
    } catch (error) {
      const mapping = idMapping()
      if (mapping.kind !== 'subid' || !isDenied(error)) throw error
      const { startUnpackProcess } = await import('./unpack-process.ts')
      const worker = await startUnpackProcess(mapping)
      try {
        await worker.perform({ kind: 'remove', path: directory })
      } finally {
        await worker.close()
      }
    }
  }
}

function isDenied(error: unknown): boolean {
  const cause = error instanceof RootfsError ? error.cause : error
  if (!(cause instanceof Error) || !('code' in cause)) return false
  return cause.code === 'EACCES' || cause.code === 'EPERM'
}
