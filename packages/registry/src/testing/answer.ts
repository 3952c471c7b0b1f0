import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Body, jsonBody, NO_BODY } from './body.ts'
import type { Fault } from './fault.ts'

/** What a server is about to say. */
export interface Answer {
  status: number
  /** Names in lower case. */
  headers: Record<string, string | string[]>
  body: Body
}

/** An answer without a body. */
export function emptyAnswer(status: number, headers: Answer['headers'] = {}): Answer {
  return { status, headers, body: NO_BODY }
}

/** A JSON document as an answer. */
export function jsonAnswer(value: unknown, headers: Answer['headers'] = {}): Answer {
  return {
    status: 200,
    headers: { 'content-type': 'application/json', ...headers },
    body: jsonBody(value),
  }
}

/** The codes of the distribution specification, and the status that goes with each. */
const STATUS_OF_CODE = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DENIED: 403,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 400,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  SIZE_INVALID: 400,
  TOOMANYREQUESTS: 429,
  UNAUTHORIZED: 401,
  UNSUPPORTED: 405,
} as const

/** An error code of the distribution specification ("Error Codes"). */
export type ErrorCode = keyof typeof STATUS_OF_CODE

/** An answer in the form of the distribution specification's error list. */
export function errorAnswer(
  status: number,
  code: string,
  message: string,
  headers: Answer['headers'] = {},
): Answer {
  return { ...jsonAnswer({ errors: [{ code, message }] }, headers), status }
}

/** The answer for one of the specification's errors, with the status that is usual for it. */
export function failure(code: ErrorCode, message: string, headers: Answer['headers'] = {}): Answer {
  return errorAnswer(STATUS_OF_CODE[code], code, message, headers)
}

/** What was written before a cut shall arrive: a reset overtakes data that was not read yet. */
const CUT_DELAY_MS = 20

/** How an answer is sent. */
export interface Sending {
  head: boolean
  fault: Fault | undefined
  /** Called with the number of bytes of body that are being sent. */
  onSent: (bytes: number) => void
}

/** Write the answer, or as much of it as the fault lets through. */
export async function sendAnswer(
  response: ServerResponse,
  answer: Answer,
  { head, fault, onSent }: Sending,
): Promise<void> {
  const { status, headers, body } = answer
  const bodiless = status === 204 || status === 304
  const length = bodiless || fault?.type === 'huge' ? {} : { 'content-length': `${body.size}` }
  // After a length that is wrong nobody could tell where the next answer begins.
  response.shouldKeepAlive &&= fault?.type !== 'wrong-content-length'
  response.writeHead(status, { ...length, ...headers })
  if (head || bodiless) return void response.end()
  switch (fault?.type) {
    case 'cut':
    case 'stall': {
      await write(response, body.open(0, Math.min(fault.afterBytes, body.size)), onSent)
      await flushed(response)
      if (fault.type === 'cut') {
        await sleep(CUT_DELAY_MS)
        response.destroy()
      }
      return
    }
    case 'drip':
      return drip(response, body, fault, onSent)
    default:
      await write(response, body.open(0, body.size), onSent)
      if (!response.destroyed) response.end()
  }
}

async function write(
  response: ServerResponse,
  chunks: AsyncIterable<Uint8Array>,
  onSent: Sending['onSent'],
): Promise<void> {
  for await (const chunk of chunks) {
    if (response.destroyed) return
    onSent(chunk.byteLength)
    if (!response.write(chunk)) await drained(response)
  }
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.on('drain', done)
    response.on('close', done)
    if (response.destroyed) done()
  })
}

/** Resolves when all that was written is with the operating system. */
async function flushed(response: ServerResponse): Promise<void> {
  if (response.destroyed) return
  response.flushHeaders()
  await new Promise<void>((resolve) => {
    response.once('close', resolve)
    response.write(new Uint8Array(), () => resolve())
  })
}

async function drip(
  response: ServerResponse,
  body: Body,
  { bytes, everyMs }: { bytes: number; everyMs: number },
  onSent: Sending['onSent'],
): Promise<void> {
  for (let sent = 0; sent < body.size && !response.destroyed; sent += bytes) {
    await write(response, body.open(sent, Math.min(sent + bytes, body.size)), onSent)
    await sleep(everyMs)
  }
  if (!response.destroyed) response.end()
}
