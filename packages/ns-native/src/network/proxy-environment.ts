import { LOOPBACK } from './endpoint.ts'

/** A port inside that nothing else is likely to want. */
export const PROXY_PORT = 63128

/**
 * The variables by which programs find their proxy, in both spellings. All by HTTP: the proxy knows
 * SOCKS5, too, but some clients fail at the mere sight of a socks:// URL.
 */
export function proxyEnvironment(port: number = PROXY_PORT): Record<string, string> {
  const url = `http://${LOOPBACK}:${port}`
  const own = `localhost,${LOOPBACK},::1`
  const names = { HTTP_PROXY: url, HTTPS_PROXY: url, ALL_PROXY: url, NO_PROXY: own }
  const lower = Object.entries(names).map(([name, value]) => [name.toLowerCase(), value])
  // Node's own fetch looks at these only when told to.
  return { ...names, ...Object.fromEntries(lower), NODE_USE_ENV_PROXY: '1' }
}
