import type { PullEvent, PushEvent } from '@cromwell/registry'

/** What the engine is doing, for whoever shows progress. */
export type EngineEvent =
  /** The image is not there (or the policy is `always`) and will be pulled. */
  | { type: 'pull-start'; image: string }
  | { type: 'pull'; image: string; event: PullEvent }
  /** An image of these layers, base first, goes to a registry as `destination`. */
  | { type: 'push-start'; image: string; destination: string; layers: readonly PushedLayer[] }
  | { type: 'push'; image: string; event: PushEvent }
  /** A layer is being unpacked; `digest` is that of its blob, `size` the bytes of it. */
  | { type: 'unpack-start'; digest: string; size: number }
  | { type: 'unpack-progress'; digest: string; bytes: number; size: number }
  | { type: 'unpack-done'; digest: string }
  /** Something works in a lesser way than it could. */
  | { type: 'warning'; code: WarningCode; message: string; hint?: string }

/** A layer's blob. */
export interface PushedLayer {
  digest: string
  /** In bytes. */
  size: number
}

/** What can work in a lesser way. */
export type WarningCode =
  /** This host gives the user one id only. */
  | 'single-id'
  /** No overlay file system here: the image is copied for this container. */
  | 'copied-image'
  /** The image here is for another kind of machine. */
  | 'foreign-image'
  /** Entries of a layer that this user cannot make, such as device nodes. */
  | 'skipped-entries'
  /** What a crash left cannot be removed. */
  | 'leftover'
  /** The registry had something to say. */
  | 'registry'
  /** Other credentials come before those that were just stored. */
  | 'credentials'

/** Receives events; must not throw. */
export type OnEvent = (event: EngineEvent) => void
