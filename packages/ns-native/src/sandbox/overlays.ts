import { join } from 'node:path'
import { UnsupportedError } from '../errors.ts'
import type { IdMappingPlan, Mount } from '../launch-spec.ts'
import type { OverlayChange } from '../overlay-changes/change.ts'
import { applyChanges, discardChanges, overlayChanges } from '../overlay-changes/overlay-changes.ts'

type OverlayMount = Extract<Mount, { type: 'overlay' }>

/** One difference between what programs made of an overlaid directory and what it is on the host. */
export interface SandboxChange extends OverlayChange {
  /** The directory of the policy's `files.overlay`; `path` is absolute, on the host as inside. */
  overlay: string
}

/** The copy-on-write directories of one sandbox. */
export class Overlays {
  readonly #mounts: readonly OverlayMount[]
  readonly #idMapping: IdMappingPlan | undefined
  #users = 0

  constructor(mounts: readonly Mount[], idMapping: IdMappingPlan | undefined) {
    this.#mounts = mounts.filter((mount) => mount.type === 'overlay')
    this.#idMapping = idMapping
  }

  /** A program starts. Throws UnsupportedError where another one runs: an overlay's upper directory has one user. */
  enter(): void {
    if (this.#mounts.length > 0 && this.#users > 0) {
      throw new UnsupportedError('another program of this sandbox has the overlay mounted', {
        missing: ['overlay'],
        hint: 'wait for its result, or run this one beside it with exec',
      })
    }
    this.#users++
  }

  leave(): void {
    this.#users--
  }

  async *changes(): AsyncGenerator<SandboxChange, void, undefined> {
    for (const mount of this.#mounts) {
      for await (const change of overlayChanges(mount, this.#options())) {
        yield { ...change, overlay: mount.destination, path: join(mount.destination, change.path) }
      }
    }
  }

  async commit(): Promise<void> {
    for (const mount of this.#mounts) {
      await applyChanges(mount, mount.destination, this.#options())
      await discardChanges(mount, this.#options())
    }
  }

  async discard(): Promise<void> {
    for (const mount of this.#mounts) await discardChanges(mount, this.#options())
  }

  #options() {
    return this.#idMapping === undefined ? {} : { idMapping: this.#idMapping }
  }
}
