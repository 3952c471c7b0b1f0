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

/**
 * As in `child_process`: one word for all three, or an array. Its elements from the fourth on are
 * descriptors that the program gets by their place in the array, or are left out.
 */
export type StdioOptions = 'pipe' | 'overlapped' | 'ignore' | 'inherit' | readonly StdioWord[]

/** The three standard streams, and further descriptors by their number inside. */
export interface StdioTargets {
  stdio: [StdioTarget, StdioTarget, StdioTarget]
  fds: Readonly<Record<number, number>>
}

const STREAMS = 3

/** What the helper is to connect. Throws PolicyError. */
export function stdioTargets(stdio: StdioOptions = 'pipe'): StdioTargets {
  const words: readonly StdioWord[] = typeof stdio === 'string' ? [stdio, stdio, stdio] : stdio
  const further = words.slice(STREAMS).flatMap((word, at) => descriptor(word, at + STREAMS))
  return {
    stdio: [target(words[0], 0), target(words[1], 1), target(words[2], 2)],
    fds: Object.fromEntries(further),
  }
}

function descriptor(word: StdioWord, index: number): [number, number][] {
  if (word === undefined || word === null || word === 'ignore') return []
  const fd = target(word, index)
  if (typeof fd === 'number') return [[index, fd]]
  const pointer = `/stdio/${index}`
  throw new PolicyError(`${pointer}: only stdin, stdout and stderr can be pipes`, {
    pointer,
    hint: 'give a descriptor, such as that of a socket',
  })
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
