import type { IncomingHttpHeaders } from 'node:http'
import type { Fault } from './fault.ts'
import type { RepositoryStore } from './repository-store.ts'
import type { Uploads } from './uploads.ts'

/** What a test registry allows and how it answers; everything has a default. */
export interface ContentOptions {
  /** Whether every request that would change something is refused. Default false. */
  readOnly?: boolean
  /** What may be deleted. Default: everything. */
  deletion?: { tags?: boolean; manifests?: boolean; blobs?: boolean }
  /** Whether there is a referrers API; if not, clients keep lists under tags. Default true. */
  referrers?: boolean
  /** Whether a manifest may be pushed before what it refers to. Default false. */
  sparse?: boolean
  /** Whether a blob is mounted from wherever it is when the client does not say. Default true. */
  automaticMount?: boolean
  /** Whether a manifest is only for those whose Accept names its type, as with docker-registry, or for those of any type, too. Default true. */
  strictAccept?: boolean
  /** What every chunk but the last has to have, announced by `OCI-Chunk-Min-Length`. Default: nothing. */
  chunkMinBytes?: number
  /** How many entries of a list come at once at most. Default 1000. */
  pageSize?: number
  /** Larger manifests are refused. Default 4 MiB. */
  maxManifestBytes?: number
}

/** What a test registry has, in every request's reach. */
export interface Holdings {
  repositories: RepositoryStore
  uploads: Uploads
  options: ContentOptions
}

/** A request that has passed the doors. */
export interface Call {
  method: string
  url: URL
  /** Empty where the endpoint has none. */
  repository: string
  /** Tag, digest or upload session; empty where there is none. */
  reference: string
  headers: IncomingHttpHeaders
  /** The body of the request. */
  body: AsyncIterable<Uint8Array>
  fault: Fault | undefined
  /** Where the storage beside the registry listens, such as `http://127.0.0.1:1234`. */
  storage: string
}

/** Whether the request has a body, or may have one. */
export function hasBody({ headers }: Call): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}
