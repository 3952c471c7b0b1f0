import { isObject, type JsonObject } from '../image/json-document.ts'
import { replaceCredentials } from './auth-entry.ts'
import { type AuthFile, findHelper, members, readAuthFile } from './auth-file.ts'
import { updateAuthFile } from './auth-file-update.ts'
import {
  eraseFromHelper,
  type HelperOptions,
  runCredentialHelper,
  storeInHelper,
} from './credential-helper.ts'
import type { Credentials } from './credentials.ts'
import { type AuthFileFormat, normalizeKey, serversFor, spellKey } from './registry-key.ts'

/** Which entry of which file. */
export interface StoredPlace {
  file: string
  format: AuthFileFormat
  /** Normalized: `host` or `host/namespace…`. */
  key: string
  helper?: HelperOptions
  signal?: AbortSignal | undefined
}

/**
 * Keep credentials where the file says: with the helper it names for the registry, else in the file itself.
 *
 * Every other spelling of the same key goes, for another program might prefer it. Returns the helper's name, if it was
 * one. Throws `ERR_REGISTRY_CREDENTIALS`, `ERR_REGISTRY_LOCKED`, `ERR_REGISTRY_ABORTED`.
 */
export async function storeCredentials(
  place: StoredPlace & { credentials: Credentials },
): Promise<{ helper?: string }> {
  const { file, format, key, credentials, signal } = place
  const helper = helperOf(await readAuthFile(file, format), key)
  const spelling = spellKey(key, format)
  if (helper !== undefined) {
    const [server = key] = serversFor(key, format)
    await storeInHelper(helper, server, credentials, { ...place.helper, signal })
  }
  await updateAuthFile(
    file,
    (document) => {
      const auths = members(document, 'auths', file)
      const entry =
        auths[spelling] ?? Object.entries(auths).find(([other]) => normalizeKey(other) === key)?.[1]
      const kept = isObject(entry) ? entry : {}
      // Docker leaves an empty entry for what a helper keeps, and so knows where it is logged in.
      const value = replaceCredentials(kept, helper === undefined ? credentials : undefined)
      const others = Object.entries(auths).filter(
        ([other]) => other !== spelling && normalizeKey(other) !== key,
      )
      setAuths(document, [...others, [spelling, value]])
      return true
    },
    signal,
  )
  return helper === undefined ? {} : { helper }
}

/**
 * Forget the credentials of this key, in the file and with its helper.
 *
 * Those of narrower keys (`host/namespace` where `key` is `host`) stay. Returns whether there were any. Throws like {@link storeCredentials}.
 */
export async function removeCredentials(
  place: StoredPlace,
): Promise<{ removed: boolean; helper?: string }> {
  const { file, format, key, signal } = place
  const parsed = await readAuthFile(file, format)
  if (parsed === undefined) return { removed: false }
  const helper = helperOf(parsed, key)
  const options = { ...place.helper, signal }
  let removed = false
  if (helper !== undefined) {
    for (const server of serversFor(key, format)) {
      if ((await runCredentialHelper(helper, server, options)) === undefined) continue
      await eraseFromHelper(helper, server, options)
      removed = true
    }
  }
  if (parsed.entries.some(({ normalized }) => normalized === key)) {
    await updateAuthFile(
      file,
      (document) => {
        const auths = Object.entries(members(document, 'auths', file))
        const others = auths.filter(([other]) => normalizeKey(other) !== key)
        setAuths(document, others)
        return others.length < auths.length
      },
      signal,
    )
    removed = true
  }
  return { removed, ...(helper === undefined ? {} : { helper }) }
}

/** Helpers know hosts, and nothing narrower. */
function helperOf(file: AuthFile | undefined, key: string): string | undefined {
  if (file === undefined || key.includes('/')) return undefined
  return findHelper(file, key)?.value ?? file.store
}

function setAuths(document: JsonObject, entries: [string, unknown][]): void {
  document['auths'] = Object.fromEntries(entries)
}
