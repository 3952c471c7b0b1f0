import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { diskStorage, writeWhole } from './disk-storage.ts'
import { type Journal, type JournalEntry, RepositoryStore } from './repository-store.ts'

/**
 * Open a directory that keeps what repositories hold, and make it if there is none.
 *
 * `blobs/sha256/<hex>` are the bytes; `repositories/<name>/_blobs`, `_manifests` and `_tags` say who
 * has what, one file each. Every file comes into being by a rename, so that whoever is killed leaves
 * at most uploads, which are thrown away when the directory is opened again. One process at a time.
 */
export function openDiskStore(directory: string): RepositoryStore {
  const storage = diskStorage(directory)
  return new RepositoryStore(storage, diskJournal(join(directory, 'repositories')))
}

const KINDS = new Set<string>(['_blobs', '_manifests', '_tags'])

function diskJournal(directory: string): Journal {
  const pathOf = (repository: string, kind: string, key: string) =>
    join(directory, ...repository.split('/'), `_${kind}`, key.replace(':', '-'))
  mkdirSync(directory, { recursive: true })
  return {
    *entries() {
      for (const path of filesBelow(directory)) {
        const [key = '', kind = '', ...names] = relative(directory, path).split(sep).reverse()
        if (KINDS.has(kind)) yield entryOf(names.reverse().join('/'), kind, key, path)
      }
    },
    keep: (repository, kind, key, text) => {
      const path = pathOf(repository, kind, key)
      mkdirSync(dirname(path), { recursive: true })
      writeWhole(path, Buffer.from(text))
    },
    drop: (repository, kind, key) => rmSync(pathOf(repository, kind, key), { force: true }),
  }
}

function entryOf(repository: string, kind: string, name: string, path: string): JournalEntry {
  // One of KINDS without the underscore.
  const entryKind = kind.slice(1) as JournalEntry['kind']
  const key = entryKind === 'tags' ? name : name.replace('-', ':')
  return { repository, kind: entryKind, key, text: readFileSync(path, 'utf8') }
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.part'))
    .map((entry) => join(entry.parentPath, entry.name))
}
