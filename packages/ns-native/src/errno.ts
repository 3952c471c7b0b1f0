import { constants } from 'node:os'
import { getSystemErrorMap } from 'node:util'

/** `ENOENT` and `no such file or directory` for 2. */
export function describeErrno(errno: number): { name: string; text: string } {
  if (errno === constants.errno.ENOEXEC) return { name: 'ENOEXEC', text: 'exec format error' } // libuv has none
  const [name, text] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, `error ${errno}`]
  return { name, text }
}
