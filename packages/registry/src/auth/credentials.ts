import type { CredentialExplanation } from './explanation.ts'

/** What identifies the caller to a registry. */
export type Credentials =
  /** A user's name and password (or personal access token). */
  | { type: 'password'; username: string; password: string }
  /** A long-lived token that the token service exchanges for short-lived ones. */
  | { type: 'identity-token'; token: string; username?: string }
  /** A token that the registry itself takes as it is. */
  | { type: 'registry-token'; token: string }

/** What credentials are wanted for. */
export interface CredentialQuery {
  /** As in a reference: `docker.io`, `localhost:5000`. */
  registry: string
  repository?: string
  signal?: AbortSignal | undefined
  /** What was given for this query before, and refused: look again instead of remembering. */
  refused?: Credentials
}

/**
 * Where credentials come from; undefined means to ask without any.
 *
 * A function is enough; the members are what a provider may know besides.
 */
export interface CredentialProvider {
  (query: CredentialQuery): Promise<Credentials | undefined>
  /** Which source is used and why, without any secret. Never throws but `ERR_REGISTRY_ABORTED`. */
  explain?(query: CredentialQuery): Promise<CredentialExplanation>
  /** Headers to send to every registry, such as docker's `X-Meta-…` from `HttpHeaders`. */
  headers?(): Promise<Record<string, string>>
  /** Set to ask token services for an identity token, too, as `docker login` does. */
  offline?: boolean
  /** A token service gave an identity token: a new one in place of an old one, or what `offline` asked for. */
  renewed?(query: CredentialQuery, credentials: Credentials): Promise<void>
}

/** The same credentials for one registry, and none for others. */
export function staticCredentials(registry: string, credentials: Credentials): CredentialProvider
/** The same user name and password for one registry, and none for others. */
export function staticCredentials(
  registry: string,
  username: string,
  password: string,
): CredentialProvider
export function staticCredentials(
  registry: string,
  first: Credentials | string,
  password = '',
): CredentialProvider {
  const credentials: Credentials =
    typeof first === 'string' ? { type: 'password', username: first, password } : first
  return async (query) => (query.registry === registry ? credentials : undefined)
}

/** Whether both are the same in every part. */
export function isSameCredentials(
  one: Credentials | undefined,
  other: Credentials | undefined,
): boolean {
  if (one === undefined || other === undefined) return one === other
  if (one.type === 'password') {
    return (
      other.type === 'password' &&
      one.username === other.username &&
      one.password === other.password
    )
  }
  return one.type === other.type && one.token === other.token
}

/** The value of `Authorization` for a name and password, without its scheme. */
export function encodeBasic(username: string, password: string): string {
  return Buffer.from(`${username}:${password}`, 'utf8').toString('base64')
}
