import type { CredentialProvider } from '../auth/credentials.ts'
import type { CredentialExplanation, CredentialSource } from '../auth/explanation.ts'
import { RegistryError } from '../errors.ts'
import type { Capability, Endpoint, HostResolver, TlsSettings } from '../hosts/endpoint.ts'
import { chooseProxy, type ProxySettings } from '../http/proxy.ts'
import { canonicalName, type Reference } from '../image/reference.ts'
import { redactText, redactUrl } from '../redact.ts'
import { chooseEndpoints } from './endpoint-choice.ts'
import type { ApiRequest } from './exchange.ts'

/** Where a reference would be asked for, and why; it holds no secret. */
export interface Explanation {
  /** The canonical name. */
  reference: string
  /** In the order in which they would be asked. */
  endpoints: EndpointExplanation[]
  /** Why nothing can be asked, or not all of this be told. */
  failure?: string
}

/** One place that would be asked. */
export interface EndpointExplanation {
  /** Where its API begins. */
  url: string
  kind: Endpoint['kind']
  /** The repository's name there. */
  repository: string
  capabilities: readonly Capability[]
  /** Whether a pull of the reference asks it; else it is for other requests, such as those of tags. */
  asked: boolean
  /** What led there: `the name`, or a file with its line. */
  because: string
  tls: {
    /** False if its certificate is not checked. */
    verified: boolean
    /** Whether a client's certificate is shown. */
    clientCertificate: boolean
    /** Files of authorities, certificate and key. */
    files: readonly string[]
  }
  /** The proxy on the way, without its password; undefined to go directly. */
  proxy?: string
  /** Which variable decided about the proxy, or which exception. */
  proxyBecause: string
  credentials: CredentialExplanation
}

/** What a client goes by. */
export interface ExplainContext {
  resolver: HostResolver
  credentials?: CredentialProvider | undefined
  proxy?: ProxySettings | undefined
}

/** Tell where a reference would be asked for. Nothing is sent; credential helpers are asked. */
export async function explainReference(
  { resolver, credentials, proxy = {} }: ExplainContext,
  reference: Reference,
  signal?: AbortSignal,
): Promise<Explanation> {
  const explanation: Explanation = { reference: canonicalName(reference), endpoints: [] }
  const { registry, repository, tag, digest } = reference
  const version = digest ?? tag ?? 'latest'
  try {
    const all = await resolver.endpoints({ registry, repository, version })
    const asked = new Set(chooseEndpoints(all, requestFor(reference, version), !digest))
    for (const endpoint of all) {
      const query = { registry: endpoint.registry, repository: endpoint.repository(repository) }
      const { proxy: way, because: proxyBecause } = chooseProxy(endpoint.base, proxy)
      explanation.endpoints.push({
        url: redactUrl(endpoint.base.href),
        kind: endpoint.kind,
        repository: query.repository,
        capabilities: endpoint.capabilities,
        asked: asked.has(endpoint),
        because: endpoint.because,
        tls: describeTls(endpoint.tls),
        ...(way === undefined ? {} : { proxy: redactUrl(way) }),
        proxyBecause,
        credentials: await explainCredentials(credentials, { ...query, signal }),
      })
    }
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code === 'ERR_REGISTRY_ABORTED') throw error
    explanation.failure = redactText(error.message)
  }
  return explanation
}

/** As a pull begins. */
function requestFor({ registry, repository }: Reference, version: string): ApiRequest {
  return {
    registry,
    repository,
    path: `manifests/${version}`,
    method: 'GET',
    action: 'cannot pull',
  }
}

function describeTls({ cert, insecure = false, files = [] }: TlsSettings) {
  return { verified: !insecure, clientCertificate: cert !== undefined, files }
}

/** A provider that cannot explain itself is asked whether it has any. */
async function explainCredentials(
  provider: CredentialProvider | undefined,
  query: Parameters<CredentialProvider>[0],
): Promise<CredentialExplanation> {
  if (provider?.explain !== undefined) return provider.explain(query)
  const { registry, repository } = query
  const about = { registry, ...(repository === undefined ? {} : { repository }) }
  const found = await provider?.(query)
  if (found === undefined) return { ...about, considered: [] }
  const source: CredentialSource = { type: found.type, because: 'the caller gave them' }
  return { ...about, chosen: source, considered: [source] }
}

/** An explanation for people, a fact on a line. */
export function formatExplanation({ reference, endpoints, failure }: Explanation): string {
  const lines = endpoints.flatMap((endpoint) => [
    `  ${endpoint.asked ? '' : 'not asked: '}${endpoint.url} (${endpoint.kind}), because of ${endpoint.because}`,
    `    repository: ${endpoint.repository}`,
    `    TLS: ${formatTls(endpoint.tls)}`,
    `    proxy: ${endpoint.proxy ?? 'none'} (${endpoint.proxyBecause})`,
    `    credentials: ${formatCredentials(endpoint.credentials)}`,
  ])
  const end = failure === undefined ? [] : [`  ${failure}`]
  return [reference, ...lines, ...end].join('\n')
}

function formatTls({ verified, clientCertificate, files }: EndpointExplanation['tls']): string {
  const parts = [
    ...(verified ? [] : ['certificates are not checked']),
    ...(clientCertificate ? ['with a client’s certificate'] : []),
    ...(files.length === 0 ? [] : [files.join(', ')]),
  ]
  return parts.length === 0 ? 'the usual authorities' : parts.join('; ')
}

function formatCredentials({ chosen, considered, failure }: CredentialExplanation): string {
  if (failure !== undefined) return failure
  const lines = considered.map((source) => `${nameOf(source)}: ${source.because}`)
  if (chosen === undefined) return ['none', ...lines].join('\n      ')
  const { username, type } = chosen
  const who = username === undefined ? type : `${type} of ${username}`
  return [`${who}, from ${nameOf(chosen)}`, ...lines].join('\n      ')
}

function nameOf({ file, key, helper }: CredentialSource): string {
  const parts = [file, key, helper].filter((part) => part !== undefined)
  return parts.length === 0 ? 'the caller' : parts.join(' ')
}
