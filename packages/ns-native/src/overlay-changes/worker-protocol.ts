import type { Applied } from './apply-changes.ts'
import type { OverlayChange } from './change.ts'
import type { MarkNames } from './marks.ts'
import type { OverlayDirectories } from './read-changes.ts'

/** What the worker is told, as one JSON text. */
export type WorkerJob =
  | { kind: 'read'; overlay: OverlayDirectories }
  | { kind: 'apply'; upperDir: string; to: string; marks: MarkNames }
  | { kind: 'discard'; directories: readonly string[] }

/** What it says, a JSON text on each line; the last is `done` or `failed`. */
export type WorkerAnswer =
  | { type: 'change'; change: Omit<OverlayChange, 'rawPath'>; rawPath?: string }
  | { type: 'done'; applied: Applied }
  | {
      type: 'failed'
      error: { message: string; errno?: number; syscall?: string; path?: string; hint?: string }
    }
