import { isRegistryError, RegistryError } from '../errors.ts'
import { apiHost, unsafeHop } from '../http/host-rules.ts'
import { statusError } from '../http/response.ts'
import type { HttpResponse, Transport } from '../http/transport.ts'
import type { Descriptor } from '../image/descriptor.ts'
import { familiarName, type Reference } from '../image/reference.ts'

const FOREIGN =
  /^application\/vnd\.(?:docker\.image\.rootfs\.foreign\.|oci\.image\.layer\.nondistributable\.)/

/** No manifest needs more mirrors of one layer; each may cost a connection. */
const MAX_URLS = 8

/**
 * Whether the blob is a layer that its publisher keeps on a server of its own, at `urls`.
 * Source: image-spec, layer.md, "Non-Distributable Layers".
 */
export function isForeign({ mediaType, urls = [] }: Descriptor): boolean {
  return FOREIGN.test(mediaType) && urls.length > 0
}

/**
 * Ask the places that the descriptor names, in turn, for the bytes of a foreign layer.
 *
 * Whoever wrote the manifest chose them: they get no credentials (CVE-2020-15157), and are asked only
 * where a redirect of the registry might lead, over TLS.
 */
export async function askForeign(
  transport: Transport,
  reference: Reference,
  descriptor: Descriptor,
  call: { range?: string | undefined; signal: AbortSignal | undefined },
): Promise<HttpResponse> {
  const { digest, urls = [] } = descriptor
  const name = familiarName(reference)
  const action = `cannot download the foreign layer ${digest} of ${name}`
  let failure: unknown
  for (const text of urls.slice(0, MAX_URLS)) {
    try {
      const from = originOf(reference, transport)
      const url = safeUrl(text, from, transport, action)
      return await ask(transport, url, { ...call, from, action, reference: name })
    } catch (error) {
      if (isRegistryError(error, 'ERR_REGISTRY_ABORTED')) throw error
      failure = error
    }
  }
  throw failure
}

function originOf({ registry }: Reference, transport: Transport): URL {
  const secure = new URL(`https://${apiHost(registry)}/`)
  return transport.plainHttp.has(secure.host) ? new URL(`http://${secure.host}/`) : secure
}

function safeUrl(text: string, from: URL, transport: Transport, action: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const reason = url === undefined ? 'it is not a URL' : unsafeUrl(from, url, transport)
  if (url !== undefined && reason === undefined) return url
  throw new RegistryError(
    'ERR_REGISTRY_UNSAFE_REDIRECT',
    `${action}: its manifest leads to ${url?.origin ?? 'nowhere'}, which is refused: ${reason}`,
    { host: url?.host, url: url?.href, hint: 'report it to who publishes the image' },
  )
}

function unsafeUrl(from: URL, url: URL, transport: Transport): string | undefined {
  if (url.username !== '' || url.password !== '') return 'it holds credentials'
  return unsafeHop(from, url, transport)
}

async function ask(
  transport: Transport,
  url: URL,
  call: {
    range?: string | undefined
    signal: AbortSignal | undefined
    from: URL
    action: string
    reference: string
  },
): Promise<HttpResponse> {
  const { range, signal, from, action, reference } = call
  const headers: Record<string, string> = range === undefined ? {} : { range }
  const response = await transport.request({
    method: 'GET',
    url,
    headers,
    signal,
    led: { by: from, as: 'foreign' },
  })
  const { status } = response
  if (status === 200 || status === 206 || (status === 416 && range !== undefined)) return response
  throw await statusError(response, { action, method: 'GET', reference, secrets: [] })
}
