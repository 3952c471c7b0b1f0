import { PolicyError } from '../errors.ts'
import type { StdioTarget } from '../helper.ts'

/** One of `child_process`'s words for a standard stream; a stream must have a descriptor already. */
export type StdioWord =
  | 'pipe'
  | 'overlapped'
  | 'ignore'
  | 'inherit'
  | number
  | { readonly fd: number }
  | null
  | undefined

/** As in `child_process`: one word for all three, or an array of up to three. */
export type StdioOptions = 'pipe' | 'overlapped' | 'ignore' | 'inherit' | readonly StdioWord[]

const STREAMS = 3

/** What the helper is to connect the three standard streams to. Throws PolicyError. */
export function stdioTargets(
  stdio: StdioOptions = 'pipe',
): [StdioTarget, StdioTarget, StdioTarget] {
  const words: readonly StdioWord[] = typeof stdio === 'string' ? [stdio, stdio, stdio] : stdio
  if (words.length > STREAMS) {
    const hint = 'pass a unix socket in a directory that both sides see'
    throw new PolicyError('/stdio: only stdin, stdout and stderr are passed on', {
      pointer: `/stdio/${STREAMS}`,
      hint,
    })
  }
  return [target(words[0], 0), target(words[1], 1), target(words[2], 2)]
}

function target(word: StdioWord, index: number): StdioTarget {
  if (word === undefined || word === null || word === 'pipe' || word === 'overlapped') return 'pipe'
  if (word === 'ignore') return 'ignore'
  if (word === 'inherit') return index
  const fd = typeof word === 'object' ? word.fd : word
  if (Number.isInteger(fd) && fd >= 0) return fd
  const pointer = `/stdio/${index}`
  throw new PolicyError(
    `${pointer}: expected 'pipe', 'ignore', 'inherit', a descriptor, or a stream that has one, but received ${JSON.stringify(word)}`,
    { pointer },
  )
}
