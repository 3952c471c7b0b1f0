import { digestOf } from '../image/digest.ts'
import { type Answer, emptyAnswer, errorAnswer } from './answer.ts'
import { bytesBody, flipped, resized } from './body.ts'
import type { Fault } from './fault.ts'

const SPACE = 0x20

/** The answer that a fault gives in place of what was asked for; undefined if the fault lets it be done. */
export function refusal(fault: Fault | undefined): Answer | undefined {
  if (fault?.type !== 'status') return undefined
  const { status, code = 'FAULT', message = 'made to fail', retryAfter } = fault
  return errorAnswer(status, code, message, retryAfter ? { 'retry-after': retryAfter } : {})
}

/** Change the answer as the fault demands; faults of the transfer are left to `sendAnswer`. */
export function distorted(answer: Answer, fault: Fault | undefined): Answer {
  const { body } = answer
  const { size } = body
  switch (fault?.type) {
    case 'corrupt':
      return { ...answer, body: flipped(body, fault.position ?? size - 1) }
    case 'resize':
      return { ...answer, body: resized(body, Math.max(0, size + fault.bytes)) }
    case 'truncate':
      return { ...answer, body: resized(body, Math.floor(size / 2)) }
    case 'huge':
      return { ...answer, body: resized(body, size + fault.bytes, SPACE) }
    case 'wrong-content-length':
      return withHeader(answer, 'content-length', `${Math.max(0, size + fault.bytes)}`)
    case 'wrong-content-type':
      return withHeader(answer, 'content-type', fault.contentType ?? 'text/html')
    case 'wrong-digest-header':
      return withHeader(answer, 'docker-content-digest', digestOf(Buffer.from('something else')))
    case 'no-digest-header':
      return withHeader(answer, 'docker-content-digest', undefined)
    case 'header':
      return withHeader(answer, fault.name, fault.value)
    case 'body': {
      const type = fault.contentType ?? answer.headers['content-type'] ?? 'application/json'
      const headers = { 'content-type': type }
      return { status: 200, headers, body: bytesBody(Buffer.from(fault.body)) }
    }
    default:
      return answer
  }
}

/** A redirect to this place. */
export function redirectAnswer(location: string, status = 307): Answer {
  return emptyAnswer(status, { location })
}

function withHeader(answer: Answer, name: string, value: string | undefined): Answer {
  const { [name.toLowerCase()]: _, ...others } = answer.headers
  const headers = value === undefined ? others : { ...others, [name.toLowerCase()]: value }
  return { ...answer, headers }
}
