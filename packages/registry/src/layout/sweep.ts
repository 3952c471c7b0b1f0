import { readdir, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { TEMPORARY_SUFFIX } from './durable-file.ts'

const HOUR_MS = 3_600_000
const PARTIAL_LIFE_MS = 7 * 24 * HOUR_MS

/** Remove what crashed writers left: temporary files after an hour, partial blobs after a week. */
export async function sweepLayout(directory: string): Promise<void> {
  const now = Date.now()
  const below = async (name: string) =>
    (await namesIn(join(directory, name))).map((file) => join(name, file))
  const beside = (await namesIn(directory)).filter(isTemporary)
  const leases = (await below('leases')).filter(isTemporary)
  for (const name of [...beside, ...leases, ...(await below('partial'))]) {
    const path = join(directory, name)
    const life = isTemporary(name) ? HOUR_MS : PARTIAL_LIFE_MS
    if (now - (await lastTouched(path, now)) > life) await unlink(path).catch(() => {})
  }
}

function isTemporary(name: string): boolean {
  return name.endsWith(TEMPORARY_SUFFIX) || name.endsWith('.claim')
}

async function namesIn(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => [])
}

async function lastTouched(path: string, fallback: number): Promise<number> {
  return stat(path).then(
    (found) => found.mtimeMs,
    () => fallback,
  )
}
