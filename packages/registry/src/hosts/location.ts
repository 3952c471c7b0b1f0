/** A registry and what stands after it: `mirror.example:5000` and `team/app`. */
export interface Location {
  registry: string
  /** Empty for the registry as a whole. */
  path: string
}

const HOST = /^(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i
const PATH = /^[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*$/

/** Whether the text is `host` or `host:port`, and thus no path, no URL and no option. */
export function isHost(text: string): boolean {
  return HOST.test(text) && !text.includes('..')
}

/** Read `HOST[:PORT][/PATH]`, as it stands in registries.conf; undefined if it is anything else. */
export function parseLocation(text: string): Location | undefined {
  const trimmed = text.replace(/\/+$/, '')
  const slash = trimmed.indexOf('/')
  const registry = slash === -1 ? trimmed : trimmed.slice(0, slash)
  const path = slash === -1 ? '' : trimmed.slice(slash + 1)
  return isHost(registry) && (path === '' || PATH.test(path)) ? { registry, path } : undefined
}

const VERSION = /(?<=\/[^:@]+)(?::[\w][\w.-]{0,127}|@[a-z0-9]+:[0-9a-f]+)$/

/** Whether the text is what a rule may be for: a location, one with a tag or digest, or `*.` and a domain. */
export function isPrefix(text: string): boolean {
  if (!text.startsWith('*.')) return parseLocation(text.replace(VERSION, '')) !== undefined
  const domain = text.slice(2)
  return isHost(domain) && !/[:[]/.test(domain)
}

/**
 * What of a name (`HOST[:PORT]/PATH`) stands after a prefix; undefined if the prefix is not its.
 *
 * Prefixes end at a separator: `example.com/foo` is no prefix of `example.com/foobar`, and a host
 * without a port none of one with.
 */
export function restAfter(prefix: string, name: string): string | undefined {
  if (prefix.startsWith('*.')) {
    const slash = name.indexOf('/')
    const host = slash === -1 ? name : name.slice(0, slash)
    const below = host.replace(/:\d+$/, '').endsWith(prefix.slice(1))
    return below ? name.slice(host.length) : undefined
  }
  if (name === prefix) return ''
  return name.startsWith(`${prefix}/`) ? name.slice(prefix.length) : undefined
}
