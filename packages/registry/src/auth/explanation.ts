import type { Credentials } from './credentials.ts'

/** Where credentials for a query come from, for people to read; it holds no secret. */
export interface CredentialExplanation {
  registry: string
  repository?: string
  /** The source that is used; undefined if the registry is asked without credentials. */
  chosen?: CredentialSource
  /** Every source in the order in which they are asked, the chosen one included. */
  considered: CredentialSource[]
  /** Why asking for credentials fails, if it does. */
  failure?: string
}

/** One place where credentials may be. */
export interface CredentialSource {
  /** The path of the file, or the name of what was given in its place, such as `DOCKER_AUTH_CONFIG`. */
  file?: string
  /** The key in the file, as it is spelled there. */
  key?: string
  /** The helper program, such as `docker-credential-pass`. */
  helper?: string
  /** What was found. */
  type?: Credentials['type']
  username?: string
  /** Why it was chosen, or passed over. */
  because: string
}
