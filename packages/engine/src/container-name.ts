import {
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import { EngineError } from './errors.ts'
import type { Home } from './home.ts'
import { randomName } from './random-name.ts'

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}$/

/**
 * Throws EngineError ERR_ENGINE_NAME unless `name` is as Docker wants it: letters, digits and
 * `_ . -`, beginning with a letter or digit, 2 to 128 characters.
 */
export function assertContainerName(name: string): void {
  if (NAME.test(name)) return
  throw new EngineError('ERR_ENGINE_NAME', `cannot name a container ${JSON.stringify(name)}`, {
    hint: 'use at least two letters, digits and _ . -, beginning with a letter or digit',
  })
}

/**
 * Give a name to the container `id`, whose directory must exist: `names/<name>` becomes a symbolic
 * link to the id. A name whose container is gone is taken over.
 * Throws EngineError ERR_ENGINE_NAME or ERR_ENGINE_NAME_TAKEN.
 */
export function claimName(home: Home, name: string, id: string): void {
  assertContainerName(name)
  const link = join(home.names, name)
  mkdirSync(home.names, { recursive: true, mode: 0o700 })
  for (;;) {
    try {
      symlinkSync(id, link)
      return
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error
    }
    const holder = readHolder(link)
    if (holder === id) return
    if (holder !== undefined && existsSync(join(home.containers, holder))) {
      throw new EngineError(
        'ERR_ENGINE_NAME_TAKEN',
        `the name ${name} belongs to container ${holder.slice(0, 12)}`,
        { holder, path: link, hint: `choose another name, or remove that container first` },
      )
    }
    dropStale(link, holder)
  }
}

/** Give a name of two random words to the container `id`; returns the name. */
export function claimRandomName(home: Home, id: string): string {
  for (let attempt = 0; ; attempt++) {
    const name = attempt < 5 ? randomName() : `${randomName()}${attempt}`
    try {
      claimName(home, name, id)
      return name
    } catch (error) {
      if (!(error instanceof EngineError) || error.code !== 'ERR_ENGINE_NAME_TAKEN') throw error
    }
  }
}

/** Give a name back; nothing happens when it belongs to another container by now. */
export function releaseName(home: Home, name: string, id: string): void {
  const link = join(home.names, name)
  if (readHolder(link) === id) rmSync(link, { force: true })
}

/** Which id has which name. A container has at most one. */
export function readNamesById(home: Home): Map<string, string> {
  const names = new Map<string, string>()
  for (const name of listDirectory(home.names)) {
    const holder = name.startsWith('.') ? undefined : readHolder(join(home.names, name))
    if (holder !== undefined) names.set(holder, name)
  }
  return names
}

/** Free the names of containers that are gone, as a crash leaves them. `known` ids are known to exist. */
export function sweepNames(home: Home, known: ReadonlySet<string>): void {
  for (const [id, name] of readNamesById(home)) {
    if (!known.has(id) && !existsSync(join(home.containers, id))) releaseName(home, name, id)
  }
}

/** The container of a name; undefined when nobody has it. */
export function findByName(home: Home, name: string): string | undefined {
  return NAME.test(name) ? readHolder(join(home.names, name)) : undefined
}

/**
 * Remove a link that leads nowhere. Another process may have taken the name over since it was
 * read, so it is moved aside first and looked at again.
 */
function dropStale(link: string, holder: string | undefined): void {
  const aside = `${link.replace(/[^/]*$/, '.$&')}.${process.pid}`
  try {
    renameSync(link, aside)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return
    throw error
  }
  const moved = readHolder(aside)
  rmSync(aside, { recursive: true, force: true })
  if (moved !== undefined && moved !== holder) {
    try {
      symlinkSync(moved, link)
    } catch {
      // A third process has the name by now, and the second will find it taken.
    }
  }
}

function readHolder(link: string): string | undefined {
  try {
    return readlinkSync(link)
  } catch {
    return undefined // none, or not a link
  }
}

function listDirectory(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}

function isErrno(error: unknown, name: string): boolean {
  return error instanceof Error && 'code' in error && error.code === name
}
