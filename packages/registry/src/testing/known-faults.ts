import type { Endpoint, FaultEffect } from './fault.ts'

/** A kind of fault, for tables that go over all of them. */
export interface KnownFault {
  /** Unique among {@link KNOWN_FAULTS}. */
  name: string
  /** What happens, as {@link Fault} has it; a {@link FaultTarget} completes it. */
  effect: FaultEffect
  /** The endpoints where it makes a difference. */
  on: readonly Endpoint[]
  /** The methods for which it makes a difference. Default: GET. */
  methods?: readonly string[]
}

const READ = ['manifest', 'blob', 'tags', 'catalog', 'referrers'] as const
const DOCUMENTS = ['manifest', 'tags', 'catalog', 'referrers', 'token'] as const
const ALL = ['ping', 'token', ...READ, 'upload'] as const
const UPLOADING = ['POST', 'PATCH', 'PUT'] as const
const DATA = ['PATCH', 'PUT'] as const
const WRITING = ['GET', 'POST', 'PATCH', 'PUT', 'DELETE'] as const
const SOME_BYTES = 10
const EARLIER = 'Wed, 21 Oct 2015 07:28:00 GMT'

function status(code: number, more: { retryAfter?: string; code?: string } = {}): FaultEffect {
  return { type: 'status', status: code, ...more }
}

/** One of every kind, for every kind of {@link FaultEffect}: see {@link KNOWN_FAULTS}. */
const BY_TYPE: Record<FaultEffect['type'], ReadonlyArray<KnownFault>> = {
  status: [
    { name: 'status 400', effect: status(400), on: ALL, methods: WRITING },
    { name: 'status 401', effect: status(401, { code: 'UNAUTHORIZED' }), on: ALL },
    { name: 'status 403', effect: status(403, { code: 'DENIED' }), on: ALL, methods: WRITING },
    { name: 'status 404', effect: status(404), on: ALL, methods: WRITING },
    { name: 'referrers refused by 406', effect: status(406), on: ['referrers'] },
    {
      name: 'method not allowed',
      effect: status(405, { code: 'UNSUPPORTED' }),
      on: ['upload', 'token'],
      methods: WRITING,
    },
    { name: 'chunk out of order', effect: status(416), on: ['upload'], methods: DATA },
    { name: 'too large', effect: status(413), on: ['upload', 'manifest'], methods: DATA },
    {
      name: 'status 429',
      effect: status(429, { code: 'TOOMANYREQUESTS' }),
      on: ALL,
      methods: WRITING,
    },
    {
      name: 'status 429, wait seconds',
      effect: status(429, { retryAfter: '0' }),
      on: ALL,
      methods: WRITING,
    },
    {
      name: 'status 429, wait until a date',
      effect: status(429, { retryAfter: EARLIER }),
      on: ALL,
      methods: WRITING,
    },
    { name: 'status 500', effect: status(500), on: ALL, methods: WRITING },
    { name: 'status 502', effect: status(502), on: ALL, methods: WRITING },
    {
      name: 'status 503, wait seconds',
      effect: status(503, { retryAfter: '0' }),
      on: ALL,
      methods: WRITING,
    },
    { name: 'status 504', effect: status(504), on: ALL, methods: WRITING },
  ],
  reset: [{ name: 'reset', effect: { type: 'reset' }, on: ALL, methods: WRITING }],
  'lost-answer': [
    { name: 'lost answer', effect: { type: 'lost-answer' }, on: ALL, methods: WRITING },
  ],
  cut: [
    { name: 'cut at once', effect: { type: 'cut', afterBytes: 0 }, on: [...READ, 'token', 'ping'] },
    { name: 'cut', effect: { type: 'cut', afterBytes: SOME_BYTES }, on: [...READ, 'token'] },
  ],
  stall: [
    {
      name: 'stall at once',
      effect: { type: 'stall', afterBytes: 0 },
      on: [...READ, 'token', 'ping'],
    },
    { name: 'stall', effect: { type: 'stall', afterBytes: SOME_BYTES }, on: [...READ, 'token'] },
  ],
  drip: [
    { name: 'drip', effect: { type: 'drip', bytes: 64, everyMs: 1 }, on: ['manifest', 'blob'] },
    {
      name: 'byte by byte',
      effect: { type: 'drip', bytes: 1, everyMs: 1 },
      on: ['tags', 'catalog', 'referrers', 'token'],
    },
  ],
  corrupt: [
    { name: 'last byte corrupt', effect: { type: 'corrupt' }, on: ['manifest', 'blob'] },
    {
      name: 'first byte corrupt',
      effect: { type: 'corrupt', position: 0 },
      on: [...READ, 'token'],
    },
  ],
  resize: [
    { name: 'a byte too many', effect: { type: 'resize', bytes: 1 }, on: ['manifest', 'blob'] },
    { name: 'a byte too few', effect: { type: 'resize', bytes: -1 }, on: [...READ, 'token'] },
  ],
  truncate: [{ name: 'half of it', effect: { type: 'truncate' }, on: [...READ, 'token'] }],
  huge: [
    { name: 'huge', effect: { type: 'huge', bytes: 64 * 1024 * 1024 }, on: [...DOCUMENTS, 'blob'] },
  ],
  'wrong-content-length': [
    {
      name: 'Content-Length too long',
      effect: { type: 'wrong-content-length', bytes: 1 },
      on: [...READ, 'token'],
    },
    {
      name: 'Content-Length too short',
      effect: { type: 'wrong-content-length', bytes: -1 },
      on: [...READ, 'token'],
    },
  ],
  'wrong-content-type': [
    {
      name: 'wrong Content-Type',
      effect: { type: 'wrong-content-type' },
      on: [...DOCUMENTS, 'blob'],
    },
  ],
  'wrong-digest-header': [
    {
      name: 'wrong Docker-Content-Digest',
      effect: { type: 'wrong-digest-header' },
      on: ['manifest', 'blob'],
      methods: ['GET', 'HEAD'],
    },
    {
      name: 'wrong Docker-Content-Digest after a push',
      effect: { type: 'wrong-digest-header' },
      on: ['manifest', 'upload'],
      methods: ['PUT'],
    },
  ],
  'no-digest-header': [
    {
      name: 'no Docker-Content-Digest',
      effect: { type: 'no-digest-header' },
      on: ['manifest', 'blob'],
      methods: ['GET', 'HEAD'],
    },
    {
      name: 'no Docker-Content-Digest after a push',
      effect: { type: 'no-digest-header' },
      on: ['manifest', 'upload'],
      methods: ['PUT'],
    },
  ],
  header: [
    {
      name: 'no Content-Type',
      effect: { type: 'header', name: 'content-type' },
      on: [...DOCUMENTS, 'blob'],
    },
    {
      name: 'no Location',
      effect: { type: 'header', name: 'location' },
      on: ['upload'],
      methods: UPLOADING,
    },
    {
      name: 'a Location that is no URL',
      effect: { type: 'header', name: 'location', value: 'http://[' },
      on: ['upload'],
      methods: UPLOADING,
    },
    {
      name: 'no OCI-Subject',
      effect: { type: 'header', name: 'oci-subject' },
      on: ['manifest'],
      methods: ['PUT'],
    },
    {
      name: 'no OCI-Filters-Applied',
      effect: { type: 'header', name: 'oci-filters-applied' },
      on: ['referrers'],
    },
    {
      name: 'a Link to itself',
      effect: { type: 'header', name: 'link', value: '<?>; rel="next"' },
      on: ['tags', 'catalog', 'referrers'],
    },
  ],
  'no-range': [{ name: 'Range ignored', effect: { type: 'no-range' }, on: ['blob'] }],
  'wrong-range': [{ name: 'wrong range', effect: { type: 'wrong-range' }, on: ['blob'] }],
  body: [
    {
      name: 'a web page',
      effect: { type: 'body', body: '<html>', contentType: 'text/html' },
      on: [...READ, 'token', 'ping'],
    },
    { name: 'an empty body', effect: { type: 'body', body: '' }, on: [...READ, 'token'] },
    { name: 'JSON null', effect: { type: 'body', body: 'null' }, on: DOCUMENTS },
  ],
  redirect: [
    { name: 'redirect', effect: { type: 'redirect', to: 'storage' }, on: READ },
    {
      name: 'redirect to another host',
      effect: { type: 'redirect', to: 'storage-by-name' },
      on: READ,
    },
    { name: 'redirect in a circle', effect: { type: 'redirect', to: 'itself' }, on: READ },
    {
      name: 'redirect to a URL of one use',
      effect: { type: 'redirect', to: 'storage', uses: 1 },
      on: READ,
    },
    {
      name: 'redirect to an expired URL',
      effect: { type: 'redirect', to: 'storage', lifeMs: 0 },
      on: READ,
    },
    { name: 'redirect by 301', effect: { type: 'redirect', to: 'storage', status: 301 }, on: READ },
  ],
  'cut-upload': [
    {
      name: 'upload cut at once',
      effect: { type: 'cut-upload', afterBytes: 0 },
      on: ['upload'],
      methods: DATA,
    },
    {
      name: 'upload cut',
      effect: { type: 'cut-upload', afterBytes: SOME_BYTES },
      on: ['upload', 'manifest'],
      methods: DATA,
    },
  ],
  'stall-upload': [
    {
      name: 'upload stalls',
      effect: { type: 'stall-upload', afterBytes: SOME_BYTES },
      on: ['upload', 'manifest'],
      methods: DATA,
    },
  ],
  'short-chunk': [
    {
      name: 'short chunk',
      effect: { type: 'short-chunk', bytes: SOME_BYTES },
      on: ['upload'],
      methods: ['PATCH'],
    },
  ],
  'upload-lost': [
    { name: 'upload lost', effect: { type: 'upload-lost' }, on: ['upload'], methods: DATA },
  ],
  'upload-elsewhere': [
    {
      name: 'upload elsewhere',
      effect: { type: 'upload-elsewhere' },
      on: ['upload'],
      methods: ['POST'],
    },
    {
      name: 'upload to another host',
      effect: { type: 'upload-elsewhere', host: 'localhost' },
      on: ['upload'],
      methods: ['POST'],
    },
  ],
  'monolithic-only': [
    { name: 'no chunks', effect: { type: 'monolithic-only' }, on: ['upload'], methods: ['PATCH'] },
  ],
  'chunked-only': [
    {
      name: 'chunks only',
      effect: { type: 'chunked-only' },
      on: ['upload'],
      methods: ['POST', 'PUT'],
    },
  ],
  'mount-refused': [
    { name: 'mount refused', effect: { type: 'mount-refused' }, on: ['upload'], methods: ['POST'] },
  ],
  'no-link': [
    { name: 'no Link', effect: { type: 'no-link' }, on: ['tags', 'catalog', 'referrers'] },
  ],
}

/** At least one of every kind of fault that a test registry can make. */
export const KNOWN_FAULTS: readonly KnownFault[] = Object.values(BY_TYPE).flat()
