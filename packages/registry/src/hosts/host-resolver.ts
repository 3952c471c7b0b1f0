import { RegistryError } from '../errors.ts'
import { apiHost } from '../http/host-rules.ts'
import { readCertsDirs } from './certs-dir.ts'
import type { Endpoint, EndpointQuery, HostResolver, TlsSettings } from './endpoint.ts'
import type { HostRule } from './host-rule.ts'
import { readHostsDirs } from './hosts-dir.ts'
import type { HostsToml, TomlHost } from './hosts-toml.ts'
import { type RegistriesConfPaths, readRegistriesConf } from './registries-conf.ts'
import { endpointsOfRule, findRule } from './rule-endpoints.ts'

/** Where {@link createHostResolver} looks; nothing is looked for that is not named here. */
export interface HostResolverOptions {
  /** Rules that come before all files. */
  hosts?: readonly HostRule[] | undefined
  /** podman's registries.conf. */
  registriesConf?: RegistriesConfPaths | undefined
  /** Directories like containerd's `/etc/containerd/certs.d`. */
  hostsDirs?: readonly string[] | undefined
  /** Directories like docker's `/etc/docker/certs.d`; the first that knows a host counts. */
  certsDirs?: readonly string[] | undefined
}

/**
 * A resolver that asks, in this order, `hosts`, registries.conf and the directories with hosts.toml: the
 * first that has something to say of a registry counts. TLS settings that it does not give come from
 * `certsDirs`. Files are read once, when they are first needed.
 */
export function createHostResolver(options: HostResolverOptions = {}): HostResolver {
  const { hosts = [], hostsDirs = [], certsDirs = [] } = options
  const certificates = new Map<string, Promise<TlsSettings>>()
  const directories = new Map<string, ReturnType<typeof readHostsDirs>>()
  let rules: Promise<readonly HostRule[]> | undefined

  const fileRules = () => {
    rules ??= options.registriesConf ? readRegistriesConf(options.registriesConf) : noRules
    return rules
  }

  function directoryOf(registry: string) {
    const found = directories.get(registry) ?? readHostsDirs(hostsDirs, registry)
    directories.set(registry, found)
    return found
  }

  function certificatesOf(host: string): Promise<TlsSettings> {
    const found = certificates.get(host) ?? readCertsDirs(certsDirs, host)
    certificates.set(host, found)
    return found
  }

  async function ruleFor(query: EndpointQuery): Promise<HostRule | undefined> {
    return findRule(hosts, query) ?? findRule(await fileRules(), query)
  }

  async function tlsOf(host: string): Promise<TlsSettings> {
    const rule = await ruleFor({ registry: host })
    const own = rule === undefined ? {} : settingsOf(rule)
    return { ...(await certificatesOf(host)), ...own }
  }

  async function withCertificates(endpoint: Endpoint): Promise<Endpoint> {
    const { tls, registry } = endpoint
    if (tls.ca !== undefined || tls.cert !== undefined) return endpoint
    return { ...endpoint, tls: { ...(await certificatesOf(registry)), ...tls } }
  }

  async function unresolved(query: EndpointQuery): Promise<Endpoint[]> {
    const rule = await ruleFor(query)
    if (rule?.blocked) throw blocked(query, rule)
    if (rule !== undefined) return endpointsOfRule(rule, query)
    const directory = await directoryOf(query.registry)
    if (directory === undefined) return [originOf(query.registry, { because: 'the name' })]
    if ('tls' in directory) return [originOf(query.registry, directory)]
    return endpointsOfToml(directory.hosts, query.registry)
  }

  return {
    async endpoints(query) {
      return Promise.all((await unresolved(query)).map(withCertificates))
    },
    tls: tlsOf,
  }
}

const noRules: Promise<readonly HostRule[]> = Promise.resolve([])

function settingsOf({ tls = {}, insecure = false }: HostRule): TlsSettings {
  return { ...tls, ...(insecure ? { insecure } : {}) }
}

/** The registry itself, as its name says. */
export function originOf(
  registry: string,
  { tls = {}, because }: { tls?: TlsSettings; because: string },
): Endpoint {
  return {
    base: new URL(`https://${apiHost(registry)}/v2/`),
    kind: 'origin',
    registry,
    capabilities: ['pull', 'resolve', 'push'],
    tls,
    scheme: 'by-name',
    repository: (name) => name,
    because,
  }
}

function endpointsOfToml({ hosts, server }: HostsToml, registry: string): Endpoint[] {
  const byName = originOf(registry, server)
  const last = endpointOfHost(
    { ...server, base: server.base ?? byName.base },
    { registry, kind: 'origin' },
  )
  return [
    ...hosts.map((host) => endpointOfHost(host, { registry, kind: 'mirror' })),
    server.base === undefined ? { ...last, scheme: 'by-name' } : last,
  ]
}

/** Hosts that are not the registry are told by `ns` which registry is meant, as containerd does. */
function endpointOfHost(
  { base, capabilities, tls, headers, because }: TomlHost,
  { registry, kind }: { registry: string; kind: Endpoint['kind'] },
): Endpoint {
  const isOwn = base.host === apiHost(registry)
  return {
    base,
    kind,
    registry: isOwn ? registry : base.host,
    capabilities,
    tls,
    scheme: 'fixed',
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    repository: (name) => name,
    ...(isOwn ? {} : { query: { ns: registry } }),
    because,
  }
}

function blocked({ registry, repository }: EndpointQuery, { prefix, source }: HostRule) {
  const name = repository === undefined ? registry : `${registry}/${repository}`
  const where = source ?? 'options.hosts'
  return new RegistryError(
    'ERR_REGISTRY_BLOCKED',
    `${name} is blocked: ${where} forbids what begins with ${prefix}`,
    { host: registry, hint: 'who runs this machine decided so; take the rule away if it is wrong' },
  )
}
