import { chown, mkdir, readFile, readlink, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { isRegistryError, RegistryError } from '../errors.ts'
import type { JsonObject } from '../image/json-document.ts'
import { writeDurably } from '../layout/durable-file.ts'
import { isMissing } from '../layout/layout-error.ts'
import { withLock } from '../layout/lock.ts'
import { badAuthFile, errorCode, parseAuthDocument } from './auth-file.ts'

const LOCK_TIMEOUT_MS = 30_000
const MAX_LINKS = 40
/** As docker and podman write it. */
const INDENTATION = '\t'

/**
 * Change a credentials file, or make it: what `change` leaves alone stays as it is, at every instant the
 * file is the old one or the new one, and nobody else may read it.
 *
 * A symbolic link stays one, and what it leads to is changed. Two of us cannot change a file at once; docker and podman know
 * no such lock, so that a change of theirs is looked for once more before ours is made.
 * `change` returns whether it changed anything. Throws `ERR_REGISTRY_CREDENTIALS`, `ERR_REGISTRY_LOCKED`, `ERR_REGISTRY_ABORTED`.
 */
export async function updateAuthFile(
  path: string,
  change: (document: JsonObject) => boolean,
  signal?: AbortSignal,
): Promise<void> {
  try {
    const file = await followLinks(resolve(path))
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    const options = { signal, timeoutMs: LOCK_TIMEOUT_MS }
    await withLock(`${file}.lock`, options, () => rewrite(file, path, change))
  } catch (error) {
    if (isRegistryError(error)) throw error
    throw notWritten(path, error)
  }
}

/** What is in the file may be as good as ever: nobody is told to remove it. */
function notWritten(path: string, cause: unknown): RegistryError {
  const code = errorCode(cause)
  const [why, hint] = REASONS[code] ?? [code, 'check who owns the file and its directory']
  return new RegistryError(
    'ERR_REGISTRY_CREDENTIALS',
    `cannot keep credentials in ${path}: ${why}`,
    { path, hint, cause },
  )
}

const REASONS: Record<string, [why: string, hint: string]> = {
  EBUSY: ['it is a mount point of its own', 'mount its directory in place of the file'],
  ENOSPC: ['no space left on the device', 'free some space there'],
  EDQUOT: ['the disk quota is used up', 'free some space there'],
  EROFS: ['the file system is read-only', 'set DOCKER_CONFIG to a directory that can be written'],
}

async function rewrite(
  file: string,
  name: string,
  change: (document: JsonObject) => boolean,
): Promise<void> {
  for (;;) {
    const before = await readText(file)
    const document = parseAuthDocument(before ?? '', name)
    if (!change(document)) return
    if ((await readText(file)) !== before) continue
    const end = before === undefined || before.endsWith('\n') ? '\n' : ''
    const owner = before === undefined ? undefined : await stat(file)
    await writeDurably(file, `${JSON.stringify(document, null, indentationOf(before))}${end}`)
    // Root who logs in for somebody does not take the file away from them.
    if (owner !== undefined) await chown(file, owner.uid, owner.gid).catch(() => {})
    return
  }
}

/** What a link leads to, whether or not that exists yet. */
async function followLinks(path: string): Promise<string> {
  let current = path
  for (let links = 0; links < MAX_LINKS; links++) {
    const target = await readlink(current).catch(() => undefined)
    if (target === undefined) return current
    current = resolve(dirname(current), target)
  }
  throw badAuthFile(path, 'it is a symbolic link that leads nowhere')
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

function indentationOf(text: string | undefined): string {
  return /^([ \t]+)"/m.exec(text ?? '')?.[1] ?? INDENTATION
}
