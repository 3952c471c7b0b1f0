import {
  type CredentialProvider,
  type CredentialQuery,
  type Credentials,
  isSameCredentials,
} from './credentials.ts'
import { type SharedWork, shareWork } from './shared-work.ts'

/** The credentials that a client has been given, by registry and repository. */
export interface Wallet {
  /** Ask the provider, once; parallel callers share the question. */
  get(query: CredentialQuery, signal?: AbortSignal): Promise<Credentials | undefined>
  /** After a refusal: what the provider says now; undefined if that is nothing else. */
  getOther(
    query: CredentialQuery,
    refused: Credentials,
    signal?: AbortSignal,
  ): Promise<Credentials | undefined>
  /** Wherever the old ones are known, the new ones take their place. */
  replace(old: Credentials, found: Credentials): void
}

/** Make an empty wallet. That there are no credentials is remembered, too. */
export function createWallet(credentials: CredentialProvider): Wallet {
  const known = new Map<string, Credentials | undefined>()
  const asking = new Map<string, SharedWork<Credentials | undefined>>()

  async function ask(query: CredentialQuery, signal: AbortSignal | undefined) {
    const key = `${keyOf(query)} ${query.refused === undefined ? 'first' : 'again'}`
    const running = asking.get(key)
    const work =
      running === undefined || running.isAbandoned
        ? shareWork((shared) => credentials({ ...query, signal: shared }))
        : running
    asking.set(key, work)
    try {
      const found = await work.join(signal)
      known.set(keyOf(query), found)
      return found
    } finally {
      if (asking.get(key) === work) asking.delete(key)
    }
  }

  return {
    async get(query, signal) {
      const key = keyOf(query)
      return known.has(key) ? known.get(key) : ask(query, signal)
    },
    async getOther(query, refused, signal) {
      const now = known.get(keyOf(query))
      // Somebody else was refused at the same time, and has asked already.
      if (now !== undefined && !isSameCredentials(now, refused)) return now
      const found = await ask({ ...query, refused }, signal)
      return isSameCredentials(found, refused) ? undefined : found
    },
    replace(old, found) {
      for (const [key, value] of known) if (isSameCredentials(value, old)) known.set(key, found)
    },
  }
}

function keyOf({ registry, repository }: CredentialQuery): string {
  return `${registry}/${repository ?? ''}`
}
