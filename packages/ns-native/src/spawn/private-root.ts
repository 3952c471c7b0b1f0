import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import type { Mount } from '../launch-spec.ts'

/** A directory of ours that becomes the root of sandboxes: mount points, links and a few small files. */
export class PrivateRoot {
  readonly path: string

  /** Throws the file system's error where `parent` does not allow it. */
  constructor(parent: string) {
    this.path = mkdtempSync(join(parent, 'cromwell-root-'))
    chmodSync(this.path, 0o755)
  }

  /** Symbolic links and text files, by their paths inside. */
  furnish(links: ReadonlyMap<string, string>, files: ReadonlyMap<string, string>): void {
    for (const [path, target] of links) {
      // never absolute: what is written here later must not follow it out to the host
      symlinkSync(relative(dirname(path), resolve(dirname(path), target)), this.#directoryOf(path))
    }
    for (const [path, text] of files) writeFileSync(this.#directoryOf(path), text)
  }

  /**
   * Make the mount points, so that none has to be made when several sandboxes start at once, nor in
   * a directory of the host.
   */
  prepare(mounts: readonly Mount[]): void {
    for (const mount of mounts) {
      const path = this.#directoryOf(mount.destination)
      if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) continue
      if (mount.type === 'bind' && !isDirectory(mount.source)) writeFileSync(path, '')
      else mkdirSync(path)
    }
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true })
  }

  #directoryOf(inside: string): string {
    const path = join(this.path, inside)
    mkdirSync(dirname(path), { recursive: true })
    return path
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
