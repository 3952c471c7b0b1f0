import { unlinkSync } from 'node:fs'
import { errnoOf } from './errors.ts'

/** unlink(2); returns whether there was anything. Throws every failure but ENOENT. */
export function removeFile(path: string): boolean {
  try {
    unlinkSync(path)
    return true
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
}
