import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { StateDirectory } from './mount-plan.ts'

/** What a sandbox keeps on disk while it exists: made when first needed, removed with it. */
export class TemporaryState implements StateDirectory {
  readonly #parent: string
  #path: string | undefined

  constructor(parent: string) {
    this.#parent = parent
  }

  /** Undefined as long as nothing was needed. */
  get path(): string | undefined {
    return this.#path
  }

  directory(name: string): string {
    this.#path ??= mkdtempSync(join(this.#parent, 'cromwell-sandbox-'))
    const path = join(this.#path, name)
    mkdirSync(path, { recursive: true })
    return path
  }

  remove(): void {
    if (this.#path === undefined) return
    const work = join(this.#path, 'work')
    for (const name of existsSync(work) ? readdirSync(work) : []) {
      // overlayfs makes a directory in it that nobody may enter
      const inner = join(work, name, 'work')
      if (existsSync(inner)) chmodSync(inner, 0o700)
    }
    rmSync(this.#path, { recursive: true, force: true })
    this.#path = undefined
  }
}
