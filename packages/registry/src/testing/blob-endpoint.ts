import { type Answer, emptyAnswer, failure } from './answer.ts'
import type { Body } from './body.ts'
import type { Call, Holdings } from './call.ts'
import { notModified } from './conditional.ts'
import { ranged } from './range.ts'

/** GET, HEAD and DELETE of a blob (distribution-spec end-2, end-10). */
export function answerBlob({ repositories, options }: Holdings, call: Call): Answer {
  const { repository, reference } = call
  if (call.method === 'DELETE') {
    if (options.deletion?.blobs === false) return failure('UNSUPPORTED', 'blobs are not deleted')
    return repositories.deleteBlob(repository, reference) ? emptyAnswer(202) : unknownBlob()
  }
  const body = repositories.blob(repository, reference)
  return body === undefined ? unknownBlob() : blobAnswer(body, call)
}

/** The blob, or the part of it that is asked for. */
export function blobAnswer(body: Body, { reference, headers, fault }: Call): Answer {
  const answer = {
    status: 200,
    headers: {
      'accept-ranges': 'bytes',
      'content-type': 'application/octet-stream',
      'docker-content-digest': reference,
      etag: `"${reference}"`,
    },
    body,
  }
  if (notModified(headers, reference)) return { ...emptyAnswer(304), headers: answer.headers }
  if (fault?.type === 'no-range') return answer
  return ranged(answer, headers.range, fault?.type === 'wrong-range' ? -1 : 0)
}

/** The answer where there is no such blob. */
export function unknownBlob(): Answer {
  return failure('BLOB_UNKNOWN', 'blob unknown to registry')
}
