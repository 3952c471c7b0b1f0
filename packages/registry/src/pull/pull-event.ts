import type { RateLimit } from '../client/rate-limit.ts'
import type { Descriptor } from '../image/descriptor.ts'
import type { Platform } from '../image/platform.ts'

/** What `pull` tells while it works; layers are named by their digest. */
export type PullEvent =
  /** The registry is asked what the name stands for. */
  | { type: 'resolve'; reference: string }
  /** It stands for this manifest. */
  | {
      type: 'resolved'
      digest: string
      mediaType: string
      platform: Platform
      /** Base layer first. */
      layers: Descriptor[]
    }
  /** The layer is on disk already. */
  | { type: 'layer-exists'; digest: string; size: number }
  /** The layer has to wait for others; only said where there are more than are fetched at a time. */
  | { type: 'layer-waiting'; digest: string; size: number }
  /** The download starts; at an offset if an earlier one broke off. */
  | { type: 'layer-start'; digest: string; size: number; offset: number }
  /** At most every 100 ms for a layer, and once when all bytes are there. */
  | { type: 'layer-progress'; digest: string; received: number; size: number }
  /** All bytes are there. */
  | { type: 'layer-verify'; digest: string }
  /** The blob has its final name: size and digest hold. */
  | { type: 'layer-done'; digest: string }
  /** The download broke off and goes on after a pause. */
  | { type: 'layer-retry'; digest: string; attempt: number; delayMs: number; reason: string }
  /** A question to the registry is asked again after a pause. */
  | { type: 'retry'; attempt: number; delayMs: number; reason: string }
  /** How many requests the registry still allows, if it says. */
  | ({ type: 'rate-limit' } & RateLimit)
  | { type: 'warning'; message: string }
  /** The image is complete and has its name. */
  | { type: 'done'; digest: string; status: PullStatus }

/** Whether anything had to be fetched. */
export type PullStatus = 'downloaded' | 'up-to-date'

/** Where events go; called synchronously. */
export type PullListener = (event: PullEvent) => void

/** What an event is news of, if a later one of the same makes it worthless. */
export function pullTopic(event: PullEvent): string | undefined {
  return event.type === 'layer-progress' ? event.digest : undefined
}
