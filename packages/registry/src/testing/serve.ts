import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { type Answer, errorAnswer, sendAnswer } from './answer.ts'
import type { Call } from './call.ts'
import { distorted, refusal } from './distort.ts'
import type { Endpoint, FaultPlan } from './fault.ts'
import { InterruptedUpload, requestBody } from './request-body.ts'
import { decoded, type Route } from './route.ts'

/** A request that a test registry, its token service or its blob storage got. */
export interface LoggedRequest {
  server: 'registry' | 'token' | 'storage'
  method: string
  /** With the query. */
  path: string
  headers: IncomingHttpHeaders
  /** 0 if there was no answer. */
  status: number
  /** Bytes of the request's body that were taken. */
  received: number
  /** Bytes of the answer's body that were sent. */
  sent: number
}

/** A request as it arrives. */
export interface Arrival {
  server: LoggedRequest['server']
  request: IncomingMessage
  response: ServerResponse
  url: URL
  route: Route
  /** What faults take the request for. */
  endpoint: Endpoint | undefined
}

/** What outlives a request. */
export interface Surroundings {
  requests: LoggedRequest[]
  faults: FaultPlan
  /** Where the storage beside the registry listens, such as `http://127.0.0.1:1234`. */
  storage: string
}

/** Answer a request as `judge` says, and as the faults want it; the request is logged before the answer goes. */
export async function serve(
  arrival: Arrival,
  { requests, faults, storage }: Surroundings,
  judge: (call: Call) => Answer | Promise<Answer>,
): Promise<void> {
  const { server, request, response, url, endpoint } = arrival
  const { repository, reference } = arrival.route
  const { method = 'GET', url: path = '/', headers } = request
  const fault = endpoint && faults.take({ endpoint, method, path: decoded(path), repository })
  const entry = { server, method, path, headers, status: 0, received: 0, sent: 0 }
  const body = requestBody(request, fault, (bytes) => {
    entry.received += bytes
  })
  const call = {
    method,
    url,
    repository: repository ?? '',
    reference,
    headers,
    body,
    fault,
    storage,
  }
  response.on('error', () => {}) // the client went away
  const outcome = await outcomeOf(call, judge)
  if (typeof outcome === 'object') entry.status = outcome.status
  requests.push(entry)
  if (outcome === 'silence') return
  if (outcome === 'cut') return cut(request, fault?.type === 'reset')
  const onSent = (bytes: number) => {
    entry.sent += bytes
  }
  const sending = { head: method === 'HEAD', fault, onSent }
  await sendAnswer(response, outcome, sending).catch(() => response.destroy())
}

/** End the connection: as a process does that ends, or as one that crashes, which only plain TCP lets us do. */
function cut({ socket }: IncomingMessage, harshly: boolean): void {
  if (harshly && !('encrypted' in socket)) socket.resetAndDestroy()
  else socket.destroy()
}

async function outcomeOf(
  call: Call,
  judge: (call: Call) => Answer | Promise<Answer>,
): Promise<Answer | 'cut' | 'silence'> {
  const { fault } = call
  if (fault?.type === 'reset') return 'cut'
  try {
    const answer = refusal(fault) ?? (await judge(call))
    return fault?.type === 'lost-answer' ? 'cut' : distorted(answer, fault)
  } catch (error) {
    if (!(error instanceof InterruptedUpload)) return errorAnswer(500, 'UNKNOWN', String(error))
    return fault?.type === 'stall-upload' ? 'silence' : 'cut'
  }
}
