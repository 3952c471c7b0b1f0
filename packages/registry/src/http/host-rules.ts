/**
 * The host that answers for a registry's name: Docker Hub's API lives elsewhere than its name says.
 */
export function apiHost(registry: string): string {
  return registry === 'docker.io' ? 'registry-1.docker.io' : registry
}

/** Whether the host, with or without a port, is this machine: `localhost`, `127.…`, `[::1]`. */
export function isLoopbackHost(host: string): boolean {
  const name = hostName(host)
  return (
    name === 'localhost' ||
    name.endsWith('.localhost') ||
    name === '[::1]' ||
    /^127(?:\.\d{1,3}){3}$/.test(name)
  )
}

/** Addresses at which machines in a data centre find their own secrets; no registry lives there. */
function isLinkLocalHost(host: string): boolean {
  const name = hostName(host)
  return /^169\.254(?:\.\d{1,3}){2}$/.test(name) || /^\[fe[89ab][0-9a-f]:/i.test(name)
}

function hostName(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '')
}

/** Which hosts may be spoken to without TLS, loopback apart. */
export interface PlainHttpRule {
  plainHttp: ReadonlySet<string>
}

/**
 * Why a registry must not send a client on to this URL; undefined if it may.
 *
 * TLS is never given up, and a registry elsewhere cannot make the client speak to this machine or to
 * a metadata service.
 */
export function unsafeHop(from: URL, to: URL, { plainHttp }: PlainHttpRule): string | undefined {
  if (to.protocol !== 'https:' && to.protocol !== 'http:') return `${to.protocol} is not HTTP`
  if (to.host === from.host && to.protocol === from.protocol) return undefined
  const fromHere = isLoopbackHost(from.host)
  if (isLoopbackHost(to.host) && !fromHere) return 'it is an address of this machine'
  if (isLinkLocalHost(to.host) && !isLinkLocalHost(from.host)) return 'it is a link-local address'
  if (to.protocol === 'https:') return undefined
  if (from.protocol === 'https:') return 'it gives up TLS'
  return isLoopbackHost(to.host) || plainHttp.has(to.host) ? undefined : 'it is not https'
}
