import type { Descriptor } from '../image/descriptor.ts'
import type { PutOutcome } from '../store/content-store.ts'

/** What `copy` tells while it works. */
export type CopyEvent =
  /** The name at the source stands for this. */
  | { type: 'resolved'; descriptor: Descriptor }
  /** All documents have been read; this is what belongs to them. Blobs that are there already count, too. */
  | { type: 'planned'; documents: number; blobs: number; bytes: number }
  /** A blob begins to move, at an offset if an earlier attempt broke off. */
  | { type: 'blob-start'; digest: string; size: number; offset: number }
  /** At most every 100 ms for a blob, and once when all bytes are there. */
  | { type: 'blob-progress'; digest: string; received: number; size: number }
  | { type: 'blob-done'; digest: string; size: number; outcome: PutOutcome }
  | { type: 'document-done'; descriptor: Descriptor; outcome: PutOutcome }
  /** A name at the target stands for something now. */
  | { type: 'tagged'; name: string; digest: string }
  | { type: 'warning'; message: string }
  | { type: 'done'; digest: string }

/** Where events go; called synchronously. */
export type CopyListener = (event: CopyEvent) => void

/** What an event is news of, if a later one of the same makes it worthless. */
export function copyTopic(event: CopyEvent): string | undefined {
  return event.type === 'blob-progress' ? event.digest : undefined
}
