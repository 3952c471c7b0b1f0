import { type Credentials, encodeBasic } from './credentials.ts'

/** The secrets of a client, in every form in which they travel, to be masked in what others say. */
export interface SecretSet extends Iterable<string> {
  addCredentials(credentials: Credentials | undefined): void
  addToken(token: string): void
}

/** A client that lives for years gets many tokens; the oldest have long expired. */
const MAX_SECRETS = 1000

/** Make an empty set. */
export function createSecretSet(): SecretSet {
  const secrets = new Set<string>()

  function add(...texts: string[]): void {
    for (const text of texts) {
      secrets.delete(text)
      secrets.add(text)
    }
    for (const oldest of secrets) {
      if (secrets.size <= MAX_SECRETS) break
      secrets.delete(oldest)
    }
  }

  const spellings = (secret: string) => [
    secret,
    encodeURI(secret),
    encodeURIComponent(secret),
    new URLSearchParams({ secret }).toString().slice('secret='.length),
    JSON.stringify(secret).slice(1, -1),
  ]

  return {
    addCredentials(credentials) {
      if (credentials === undefined) return
      if (credentials.type === 'password') {
        const { username, password } = credentials
        add(...spellings(encodeBasic(username, password)), ...spellings(password))
      } else add(...spellings(credentials.token))
    },
    addToken: (token) => add(...spellings(token)),
    // The longest first: a secret may be part of another one.
    [Symbol.iterator]: () => [...secrets].sort((a, b) => b.length - a.length)[Symbol.iterator](),
  }
}
