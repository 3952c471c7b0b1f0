import type { TlsSettings } from './endpoint.ts'

/** Where to go for a registry, or for a part of it, as plain options; the same as a `[[registry]]` of registries.conf. */
export interface HostRule {
  /**
   * What the rule is for: `HOST[:PORT]`, `HOST[:PORT]/NAMESPACE…`, or `*.DOMAIN` for every host below a domain.
   * The longest prefix wins.
   */
  prefix: string
  /** What the prefix is replaced with when pulling, `HOST[:PORT][/NAMESPACE…]`. Default: nothing is replaced. */
  location?: string
  /** Accept any certificate of this host, and plain HTTP if it does not speak TLS. */
  insecure?: boolean
  /** Refuse everything under this prefix. */
  blocked?: boolean
  /** Asked before the registry itself, in this order. */
  mirrors?: readonly MirrorRule[]
  /** Of the registry itself. */
  tls?: TlsSettings
  /** Where the rule comes from, for `explain`. Default: `options.hosts`. */
  source?: string
}

/** A mirror of a {@link HostRule}. */
export interface MirrorRule {
  /** What the prefix is replaced with: `HOST[:PORT][/NAMESPACE…]`. */
  location: string
  insecure?: boolean
  /** What it is asked for. Default `all`; `digest-only` mirrors never say what a tag stands for. */
  use?: 'all' | 'digest-only' | 'tag-only'
  tls?: TlsSettings
  /** Where the rule comes from, for `explain`. */
  source?: string
}
