import type { IdMapping } from './launch-spec.ts'

const EVERY_ID = '0-4294967295'
const LONGEST_KEY = 64

/**
 * A name for a mapping, fit for a directory: equal keys mean equal mappings, for the same caller.
 *
 * `identity` is root's whole world; `subid-100000-65536` one range that serves users and groups.
 * Groups of their own follow a `g`; what gets too long is shortened to a hash.
 */
export function mappingKey(
  kind: 'identity' | 'subid',
  uidMappings: readonly IdMapping[],
  gidMappings: readonly IdMapping[],
): string {
  const uids = listOf(uidMappings)
  const gids = listOf(gidMappings)
  if (kind === 'identity' && uids === EVERY_ID && gids === EVERY_ID) return kind
  const key = uids === gids ? `${kind}-${uids}` : `${kind}-${uids}-g-${gids}`
  return key.length <= LONGEST_KEY ? key : `${kind}-${fnv1a64(key)}`
}

function listOf(mappings: readonly IdMapping[]): string {
  return mappings.map(({ hostID, size }) => `${hostID}-${size}`).join('-')
}

/** Not node:crypto: loading it takes longer than all the rest of choosing a mapping. */
function fnv1a64(text: string): string {
  let hash = 0xcbf29ce484222325n
  for (const byte of Buffer.from(text)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
  }
  return hash.toString(16).padStart(16, '0')
}
