import { statSync } from 'node:fs'
import { checkProcess, type ProcessIdentity, readProcessIdentity } from '@cromwell/pidstore'
import { RuntimeError } from './errors.ts'

const NAME = /^\.creating-(?<pid>\d+)-(?<startTime>\d+)-(?<place>[0-9a-f-]+)-/

/** What cannot be judged from here, being another machine's, is given this long. */
const ELSEWHERE_MS = 60_000

/** The identity of this process. */
export function ownIdentity(): ProcessIdentity {
  const identity = readProcessIdentity(process.pid)
  if (identity !== undefined) return identity
  // Only a /proc of another pid namespace has no entry for the process that asks.
  throw new RuntimeError('ERR_RUNTIME_STATE', 'cannot find this process in /proc', {
    path: '/proc',
    hint: 'mount the /proc of this pid namespace',
  })
}

/** The name of a directory that becomes container `id`; it says whose it is until then. */
export function creatingName(id: string, creator: ProcessIdentity): string {
  return `.creating-${creator.pid}-${creator.startTime}-${placeOf(creator)}-${id}`
}

/** Whether `name` is that of a directory whose maker is gone; false for other names. */
export function isAbandoned(root: string, name: string): boolean {
  const groups = NAME.exec(name)?.groups
  if (groups === undefined) return false
  const own = ownIdentity()
  if (groups['place'] !== placeOf(own)) {
    return Date.now() - statSync(`${root}/${name}`).mtimeMs > ELSEWHERE_MS
  }
  const maker = { ...own, pid: Number(groups['pid']), startTime: Number(groups['startTime']) }
  return checkProcess(maker).state === 'exited'
}

/** Where a pid and a start time mean one process. */
function placeOf({ bootId, pidNamespace }: ProcessIdentity): string {
  return `${bootId.slice(0, 8)}-${pidNamespace}`
}
