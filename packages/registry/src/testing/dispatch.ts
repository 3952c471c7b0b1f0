import { type AccessScope, repositoryScope } from './access-scope.ts'
import { type Answer, errorAnswer, failure, jsonAnswer } from './answer.ts'
import { answerBlob } from './blob-endpoint.ts'
import type { Call, Holdings } from './call.ts'
import type { Endpoint } from './fault.ts'
import { answerCatalog, answerReferrers, answerTags } from './list-endpoints.ts'
import { answerManifest } from './manifest-endpoint.ts'
import { isRepositoryName, type Route } from './route.ts'
import { answerUpload } from './upload-endpoint.ts'

type Answerer = (holdings: Holdings, call: Call) => Answer | Promise<Answer>

const ENDPOINTS: Partial<Record<Endpoint, { methods: readonly string[]; answer: Answerer }>> = {
  ping: { methods: ['GET', 'HEAD'], answer: () => jsonAnswer({}) },
  catalog: { methods: ['GET', 'HEAD'], answer: answerCatalog },
  tags: { methods: ['GET', 'HEAD'], answer: answerTags },
  referrers: { methods: ['GET', 'HEAD'], answer: answerReferrers },
  manifest: { methods: ['GET', 'HEAD', 'PUT', 'DELETE'], answer: answerManifest },
  blob: { methods: ['GET', 'HEAD', 'DELETE'], answer: answerBlob },
  upload: { methods: ['GET', 'POST', 'PATCH', 'PUT', 'DELETE'], answer: answerUpload },
}

/** Do what a request to the registry's API asks for. */
export async function answerCall(
  holdings: Holdings,
  { endpoint, repository }: Route,
  call: Call,
): Promise<Answer> {
  const found = endpoint && ENDPOINTS[endpoint]
  if (found === undefined) return errorAnswer(404, 'UNSUPPORTED', 'there is nothing at this path')
  if (!found.methods.includes(call.method)) {
    const allow = found.methods.join(', ')
    return failure('UNSUPPORTED', `${call.method} is not for this path`, { allow })
  }
  if (repository !== undefined && !isRepositoryName(repository)) {
    return failure('NAME_INVALID', `"${repository}" is not the name of a repository`)
  }
  if (holdings.options.readOnly && !isReading(call.method)) {
    return failure('UNSUPPORTED', 'this registry is read-only')
  }
  return found.answer(holdings, call)
}

/** What a request needs a token for. */
export function scopesOf({ endpoint, repository }: Route, method: string, url: URL): AccessScope[] {
  if (endpoint === 'catalog') return [{ type: 'registry', name: 'catalog', actions: ['*'] }]
  if (repository === undefined) return []
  if (endpoint === 'upload' || method === 'PUT') {
    const from = url.searchParams.get('from')
    const source = from === null ? [] : [repositoryScope(from, 'pull')]
    return [repositoryScope(repository, 'pull', 'push'), ...source]
  }
  return [repositoryScope(repository, method === 'DELETE' ? 'delete' : 'pull')]
}

function isReading(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}
