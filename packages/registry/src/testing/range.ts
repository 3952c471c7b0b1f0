import type { Answer } from './answer.ts'
import { NO_BODY, partOf } from './body.ts'

/**
 * Cut the part out of an answer that a Range header asks for.
 *
 * One range of bytes is understood; a header of another form is ignored, as RFC 9110 (section 14.2)
 * allows. `shift` moves the part, which only a faulty server does.
 */
export function ranged(answer: Answer, header: string | undefined, shift = 0): Answer {
  const [matched, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? []
  if (matched === undefined || (first === '' && last === '')) return answer
  const total = answer.body.size
  const start = first === '' ? Math.max(0, total - Number(last)) : Number(first)
  const end = first === '' || last === '' ? total : Math.min(Number(last) + 1, total)
  if (start >= end) {
    return { status: 416, headers: { 'content-range': `bytes */${total}` }, body: NO_BODY }
  }
  const from = Math.max(0, start + shift)
  const headers = { ...answer.headers, 'content-range': `bytes ${from}-${end - 1}/${total}` }
  return { status: 206, headers, body: partOf(answer.body, from, end) }
}
