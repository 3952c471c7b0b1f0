import type { Descriptor } from '../image/descriptor.ts'
import { isDigest } from '../image/digest.ts'
import { MEDIA_TYPES } from '../image/media-types.ts'
import { type Answer, errorAnswer, failure, jsonAnswer } from './answer.ts'
import type { Call, Holdings } from './call.ts'
import { examineManifest } from './manifest-rules.ts'

const DEFAULT_PAGE_SIZE = 1000

/** The tags of a repository (distribution-spec end-8). */
export function answerTags({ repositories, options }: Holdings, call: Call): Answer {
  const tags = repositories.tags(call.repository)
  if (tags === undefined) return failure('NAME_UNKNOWN', 'repository name not known to registry')
  return listAnswer(tags, call, options.pageSize, (page) => ({ name: call.repository, tags: page }))
}

/** The repositories of the registry (distribution's `_catalog`, outside of the specification). */
export function answerCatalog({ repositories, options }: Holdings, call: Call): Answer {
  return listAnswer(repositories.names(), call, options.pageSize, (page) => ({
    repositories: page,
  }))
}

/** What refers to a manifest as its subject (distribution-spec end-12). */
export function answerReferrers({ repositories, options }: Holdings, call: Call): Answer {
  const { url, repository, reference } = call
  if (options.referrers === false) return errorAnswer(404, 'UNSUPPORTED', 'no referrers API')
  if (!isDigest(reference)) return failure('DIGEST_INVALID', `"${reference}" is not a digest`)
  const artifactType = url.searchParams.get('artifactType')
  const found = repositories.manifests(repository).flatMap(({ descriptor, bytes }) => {
    const facts = examineManifest(bytes, descriptor.mediaType)
    if ('status' in facts || facts.subject !== reference) return []
    if (artifactType !== null && facts.artifactType !== artifactType) return []
    const { annotations } = facts
    return [
      {
        ...descriptor,
        ...(facts.artifactType === undefined ? {} : { artifactType: facts.artifactType }),
        ...(annotations === undefined ? {} : { annotations }),
      },
    ]
  })
  const answer = referrersPage(found, call, options.pageSize ?? DEFAULT_PAGE_SIZE)
  if (artifactType !== null) answer.headers['oci-filters-applied'] = 'artifactType'
  return answer
}

function referrersPage(all: Descriptor[], call: Call, pageSize: number): Answer {
  const last = call.url.searchParams.get('last')
  const start = last === null ? 0 : all.findIndex(({ digest }) => digest === last) + 1
  const manifests = all.slice(start, start + pageSize)
  const mediaType = MEDIA_TYPES.ociIndex
  const more = start + manifests.length < all.length
  return jsonAnswer(
    { schemaVersion: 2, mediaType, manifests },
    { 'content-type': mediaType, ...nextLink(call, more, manifests.at(-1)?.digest) },
  )
}

function listAnswer(
  names: string[],
  call: Call,
  pageSize: number = DEFAULT_PAGE_SIZE,
  document: (page: string[]) => object,
): Answer {
  const { searchParams } = call.url
  const wanted = searchParams.get('n')
  if (wanted !== null && !/^\d+$/.test(wanted)) {
    return errorAnswer(400, 'UNSUPPORTED', `n is not a number: ${wanted}`)
  }
  const last = searchParams.get('last')
  const rest = last === null ? names : names.filter((name) => name > last)
  const page = rest.slice(0, wanted === null ? pageSize : Math.min(Number(wanted), pageSize))
  const more = page.length < rest.length
  return jsonAnswer(document(page), nextLink(call, more, page.at(-1)))
}

function nextLink(call: Call, more: boolean, last: string | undefined): Answer['headers'] {
  if (!more || last === undefined || call.fault?.type === 'no-link') return {}
  const next = new URL(call.url)
  next.searchParams.set('last', last)
  return { link: `<${next.pathname}${next.search}>; rel="next"` }
}
