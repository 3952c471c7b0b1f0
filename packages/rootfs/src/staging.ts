import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type BuilderIdentity, builderState, ownIdentity } from './builder-identity.ts'
import { errnoOf } from './errors.ts'

/** A directory in which a layer is being built, beside the place that it will take. */
export interface Staging {
  /** The file name: who builds what, since when. No file inside has to be read to know. */
  name: string
  path: string
  /** Milliseconds since 1970, but always later than what was there already. */
  time: number
  /** The final name that the builder wants. */
  target: string
  builder: BuilderIdentity
}

/** A builder that cannot be checked from here is given this long. */
const ELSEWHERE_MS = 24 * 60 * 60 * 1000

const ABANDONED = '.abandoned-'
const PATTERN =
  /^\.building-(?<time>\d{15})-(?<pid>\d+)-(?<start>\d+)-(?<where>[0-9a-f]+)-[0-9a-f]{8}-(?<target>.+)$/

/** Make a staging directory for `target`. The name itself says who owns it, so that it dies with its owner. */
export function createStaging(directory: string, target: string): Staging {
  const builder = ownIdentity()
  // two within one millisecond must not sort the other way round: both would be the oldest
  const last = listStagings(directory).findLast((other) => other.target === target)
  const time = Math.max(Date.now(), last === undefined ? 0 : last.time + 1)
  const random = randomBytes(4).toString('hex')
  const name = `.building-${String(time).padStart(15, '0')}-${builder.pid}-${builder.startTime}-${builder.where}-${random}-${target}`
  const path = join(directory, name)
  mkdirSync(path, { mode: 0o700 })
  return { name, path, time, target, builder }
}

/** All staging directories, the oldest first. */
export function listStagings(directory: string): Staging[] {
  return readdirSync(directory)
    .sort()
    .flatMap((name) => {
      const groups = PATTERN.exec(name)?.groups
      if (groups === undefined) return []
      const { time, pid, start, where = '', target = '' } = groups
      const builder = { pid: Number(pid), startTime: Number(start), where }
      return [{ name, path: join(directory, name), time: Number(time), target, builder }]
    })
}

/** Take a staging directory from under its name, so that nobody waits for it, and nobody else removes it. */
export function abandon(directory: string, staging: Staging): string | undefined {
  const path = join(directory, `${ABANDONED}${randomBytes(8).toString('hex')}`)
  try {
    renameSync(staging.path, path)
    return path
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** What is to be removed: directories that were abandoned, by this process or by the death of another. */
export function listAbandoned(directory: string): string[] {
  if (!existsSync(directory)) return []
  const dead = listStagings(directory)
    .filter(isAbandoned)
    .flatMap((staging) => abandon(directory, staging) ?? [])
  const earlier = readdirSync(directory)
    .filter((name) => name.startsWith(ABANDONED))
    .map((name) => join(directory, name))
  return [...new Set([...dead, ...earlier])]
}

/** Whether nobody is building here any more. */
export function isAbandoned(staging: Staging): boolean {
  const state = builderState(staging.builder)
  if (state !== 'elsewhere') return state === 'dead'
  try {
    return Date.now() - statSync(staging.path).mtimeMs > ELSEWHERE_MS
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
}
