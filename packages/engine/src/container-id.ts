import { randomBytes } from 'node:crypto'

/** Length of the id that people are shown. */
const SHORT_LENGTH = 12

/**
 * A new container id: 32 random bytes as 64 hex digits. Never one whose short form is all digits,
 * because as a host name that could be taken for an address (moby#3869).
 */
export function createContainerId(random: (size: number) => Buffer = randomBytes): string {
  for (;;) {
    const id = random(32).toString('hex')
    if (!/^\d+$/.test(shortId(id))) return id
  }
}

/** The id as people are shown it. */
export function shortId(id: string): string {
  return id.slice(0, SHORT_LENGTH)
}
