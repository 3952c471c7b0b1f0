/**
 * Where a registry may lead the client: with the realm of a token service, a redirect, the address of an
 * upload, or the URL of a foreign layer.
 *
 * A registry at a public address never leads to an address that is not, whatever this says: only
 * `trustedRealms` names exceptions.
 */
export interface NetworkPolicy {
  /**
   * Where a registry at a private address may lead to besides public addresses and its own origin.
   * `same-origin` (the default): to its own host, under any name and port, and on loopback to loopback.
   * `true`: to any private address. `false`: nowhere.
   */
  allowPrivate?: 'same-origin' | boolean
  /** Hosts (`host` or `host:port`) that every registry may lead to, wherever they are. */
  trustedRealms?: readonly string[]
}

/** How one URL came to be asked. */
export interface Lead {
  /** Who said so. */
  by: URL
  as: 'realm' | 'redirect' | 'upload' | 'foreign'
}
