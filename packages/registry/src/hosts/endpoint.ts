/** What an endpoint may be asked for: blobs and manifests by digest, what a tag stands for, and to be written to. */
export type Capability = 'pull' | 'resolve' | 'push'

/** How TLS is spoken with a host. Holds a private key: never print it. */
export interface TlsSettings {
  /** Certificate authorities in PEM, trusted besides Node's own. */
  ca?: readonly string[]
  /** The client's certificate, with its chain, in PEM. */
  cert?: string
  /** The private key of `cert`, in PEM. */
  key?: string
  /** Set if the host's certificate is not checked at all. */
  insecure?: boolean
  /** The files all of this came from. */
  files?: readonly string[]
}

/** One place that answers for a registry: the registry itself, or a mirror of it. */
export interface Endpoint {
  /** Where its API begins; ends with a slash. Usually `https://HOST/v2/`. */
  base: URL
  kind: 'origin' | 'mirror'
  /** As in a reference, and what credentials are looked up by: never the origin's for a mirror. */
  registry: string
  capabilities: readonly Capability[]
  /** Set if it is of use only to those who asked for a tag: also not for the manifests and blobs of a digest. */
  tagsOnly?: true
  tls: TlsSettings
  /**
   * Whether it is `fixed` that HTTP or HTTPS of `base` is spoken; `by-name`, which is HTTPS but on this
   * machine; or `insecure`, which is whichever answers.
   */
  scheme: 'fixed' | 'by-name' | 'insecure'
  /** Sent with every request to it, and nowhere else. By lower-case name. */
  headers?: Readonly<Record<string, string>>
  /** The repository's name at this endpoint. */
  repository(name: string): string
  /** What is added to every URL. */
  query?: { ns: string }
  /** Why it is asked: `/etc/containers/registries.conf, line 12`. */
  because: string
}

/** What endpoints are wanted for. */
export interface EndpointQuery {
  /** As in a reference: `docker.io`, `localhost:5000`. */
  registry: string
  /** Undefined for what is about the registry as a whole. */
  repository?: string | undefined
  /** The tag or digest of the manifest in question, where it is about one. */
  version?: string | undefined
}

/**
 * Knows where to go: which mirrors a registry has, how TLS is spoken with a host, and what is forbidden.
 *
 * All methods throw `ERR_REGISTRY_HOSTS` if a file they read is broken.
 */
export interface HostResolver {
  /**
   * The endpoints in the order in which they are to be asked; the last one is the origin, if it may be asked at all.
   * Throws `ERR_REGISTRY_BLOCKED`.
   */
  endpoints(query: EndpointQuery): Promise<Endpoint[]>
  /** How TLS is spoken with a host (`host` or `host:port`) that is no endpoint: a token service, a CDN. */
  tls(host: string): Promise<TlsSettings>
}
