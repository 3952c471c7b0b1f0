import { RegistryError } from '../errors.ts'
import { apiHost } from '../http/host-rules.ts'
import type { Capability, Endpoint, EndpointQuery, TlsSettings } from './endpoint.ts'
import type { HostRule, MirrorRule } from './host-rule.ts'
import { parseLocation, restAfter } from './location.ts'

/** The rule with the longest prefix of a name; of equally long ones the first. */
export function findRule(rules: readonly HostRule[], query: EndpointQuery): HostRule | undefined {
  let best: HostRule | undefined
  for (const rule of rules) {
    const longer = best === undefined || rule.prefix.length > best.prefix.length
    if (longer && restOf(rule, query) !== undefined) best = rule
  }
  return best
}

/** What of the name stands after the rule's prefix. */
function restOf({ prefix }: HostRule, query: EndpointQuery): string | undefined {
  const { registry, repository, version } = query
  if (repository === undefined) return restAfter(prefix, registry)
  const name = `${registry}/${repository}`
  const isExact = prefix === `${name}:${version}` || prefix === `${name}@${version}`
  return isExact ? '' : restAfter(prefix, name)
}

const PULL: readonly Capability[] = ['pull', 'resolve']

/**
 * A rule's endpoints: its mirrors, its location, and the registry itself if that is elsewhere, which is then
 * only pushed to. Mirrors and locations are for pulling, as containers-registries.conf(5) says.
 */
export function endpointsOfRule(rule: HostRule, query: EndpointQuery): Endpoint[] {
  const { registry, repository } = query
  const { location, insecure = false, tls = {}, mirrors = [], source = 'options.hosts' } = rule
  const own = place({ registry, path: repository ?? '' }, { insecure, tls, because: source })
  const origin: Endpoint = { ...own, kind: 'origin', repository: (name) => name }
  const rest = restOf(rule, query)
  if (repository === undefined || rest === undefined) return [origin]
  const toPlace = (to: HostRule | MirrorRule, at: string): Endpoint =>
    place(target(at, rest, { ...rule, source: to.source ?? source }), {
      insecure: to.insecure ?? false,
      tls: to.tls ?? {},
      because: to.source ?? source,
    })
  const before = mirrors.map((mirror): Endpoint => {
    const { use = 'all' } = mirror
    return {
      ...toPlace(mirror, mirror.location),
      capabilities: use === 'digest-only' ? ['pull'] : PULL,
      ...(use === 'tag-only' ? { tagsOnly: true } : {}),
    }
  })
  if (location === undefined) return [...before, origin]
  const moved: Endpoint = { ...toPlace(rule, location), kind: 'origin', capabilities: PULL }
  return [...before, moved, { ...origin, capabilities: ['push'], because: 'the name' }]
}

interface Place {
  registry: string
  path: string
}

/** What a name becomes when its prefix is replaced. */
function target(location: string, rest: string, { source = '' }: HostRule): Place {
  const found = parseLocation(`${location}${rest}`)
  if (found !== undefined && found.path !== '') return found
  throw new RegistryError(
    'ERR_REGISTRY_HOSTS',
    `cannot use ${source}: ${location} in place of the prefix leaves no repository`,
    { hint: 'where the prefix names a repository, the location must name one, too' },
  )
}

interface PlaceSettings {
  insecure: boolean
  tls: TlsSettings
  because: string
}

function place({ registry, path }: Place, { insecure, tls, because }: PlaceSettings): Endpoint {
  return {
    base: new URL(`https://${apiHost(registry)}/v2/`),
    kind: 'mirror',
    registry,
    capabilities: ['pull', 'resolve', 'push'],
    tls: insecure ? { ...tls, insecure } : tls,
    scheme: insecure ? 'insecure' : 'by-name',
    repository: () => path,
    because,
  }
}
