import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from './fault.ts'

/** What a server is about to say. */
export interface Answer {
  status: number
  headers: Record<string, string>
  body: Uint8Array
}

/** An answer in the form of the distribution specification's error list. */
export function errorAnswer(
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
): Answer {
  const body = Buffer.from(JSON.stringify({ errors: [{ code, message }] }))
  return { status, headers: { 'content-type': 'application/json', ...headers }, body }
}

/** Cut the part out of a blob that a Range header asks for. */
export function ranged(
  answer: Answer,
  range: string | undefined,
  fault: Fault | undefined,
): Answer {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? []
  if (first === undefined || fault?.type === 'no-range') return answer
  const total = answer.body.byteLength
  const start = Number(first) - (fault?.type === 'wrong-range' ? 1 : 0)
  const end = last ? Math.min(Number(last), total - 1) : total - 1
  if (Number(first) > end) {
    return { status: 416, headers: { 'content-range': `bytes */${total}` }, body: new Uint8Array() }
  }
  const headers = { ...answer.headers, 'content-range': `bytes ${start}-${end}/${total}` }
  return { status: 206, headers, body: answer.body.subarray(start, end + 1) }
}

/** Replace the answer as the fault demands; faults of the transfer are left to {@link sendAnswer}. */
export function distorted(answer: Answer, fault: Fault | undefined): Answer {
  switch (fault?.type) {
    case 'status': {
      const headers: Record<string, string> = fault.retryAfter
        ? { 'retry-after': fault.retryAfter }
        : {}
      return errorAnswer(fault.status, 'FAULT', fault.message ?? 'made to fail', headers)
    }
    case 'corrupt': {
      const body = Buffer.from(answer.body)
      const last = body.length - 1
      if (last >= 0) body[last] = (body[last] ?? 0) ^ 1
      return { ...answer, body }
    }
    case 'resize': {
      const body = Buffer.alloc(Math.max(0, answer.body.byteLength + fault.bytes))
      body.set(answer.body.subarray(0, body.length))
      return { ...answer, body }
    }
    case 'body': {
      const type = fault.contentType ?? answer.headers['content-type'] ?? 'application/json'
      return { status: 200, headers: { 'content-type': type }, body: Buffer.from(fault.body) }
    }
    default:
      return answer
  }
}

/** What was written before a cut shall arrive: a reset overtakes data that was not read yet. */
const CUT_DELAY_MS = 20

/** Write the answer, or as much of it as the fault lets through. Resolves to the bytes of body sent. */
export async function sendAnswer(
  response: ServerResponse,
  answer: Answer,
  { head, fault }: { head: boolean; fault: Fault | undefined },
): Promise<number> {
  if (fault?.type === 'reset') {
    response.destroy()
    return 0
  }
  const { body } = answer
  response.writeHead(answer.status, { ...answer.headers, 'content-length': body.byteLength })
  if (head) {
    response.end()
    return 0
  }
  switch (fault?.type) {
    case 'cut':
    case 'stall': {
      const part = body.subarray(0, fault.afterBytes)
      await new Promise<void>((resolve) => response.write(part, () => resolve()))
      if (fault.type === 'cut') {
        await sleep(CUT_DELAY_MS)
        response.destroy()
      }
      return part.byteLength
    }
    case 'drip':
      return drip(response, body, fault)
    default:
      response.end(body)
      return body.byteLength
  }
}

async function drip(
  response: ServerResponse,
  body: Uint8Array,
  { bytes, everyMs }: { bytes: number; everyMs: number },
): Promise<number> {
  let sent = 0
  while (sent < body.byteLength && !response.destroyed) {
    response.write(body.subarray(sent, sent + bytes))
    sent = Math.min(sent + bytes, body.byteLength)
    await sleep(everyMs)
  }
  response.end()
  return sent
}
