import { EngineError } from './errors.ts'

/** Who a contained process is; ids inside. */
export interface ContainerUser {
  uid: number
  gid: number
  /** Supplementary groups. */
  additionalGids: number[]
  /** Home directory, `/` when passwd does not say. */
  home: string
}

/** Reads a file of the image; undefined when it has none. */
export type ReadImageFile = (path: string) => string | undefined

/** The largest id that is none of the kernel's special values (-1 is "no change" in setresuid(2)). */
const MAX_ID = 0xffff_fffe

interface PasswdEntry {
  name: string
  uid: number
  gid: number
  home: string
}

/**
 * Find the user `name|uid[:group|gid]` in the image's passwd and group files; empty means uid 0.
 * Names are looked for before numbers, as Docker does. A number needs no entry. Supplementary
 * groups are those that list the user, unless a group is given.
 * Throws EngineError ERR_ENGINE_USER: what is meant for a user must never run as another.
 */
export function findUser(spec: string, readImageFile: ReadImageFile): ContainerUser {
  const [userText = '', groupText, ...rest] = spec.split(':')
  if (rest.length > 0 || (spec !== '' && userText === '') || groupText === '') throw malformed(spec)
  const passwd = parsePasswd(readImageFile('/etc/passwd') ?? '')
  const wanted = userText === '' ? '0' : userText
  const entry = passwd.find(({ name }) => name === wanted) ?? findNumber(passwd, wanted)
  const uid = entry?.uid ?? parseId(wanted)
  if (uid === undefined) throw unknown('user', wanted, '/etc/passwd')
  const groups = parseGroup(readImageFile('/etc/group') ?? '')
  const gid = groupText === undefined ? (entry?.gid ?? 0) : findGroup(groups, groupText)
  const additionalGids =
    groupText === undefined && entry !== undefined
      ? groups.filter(({ members }) => members.includes(entry.name)).map((group) => group.gid)
      : []
  return { uid, gid, additionalGids: [...new Set(additionalGids)], home: entry?.home || '/' }
}

/**
 * An id in decimal, digits only: no sign, no blanks, no hexadecimal, nothing that wraps around
 * (CVE-2026-30892: a user parsed leniently ran as root). Undefined for anything else.
 */
export function parseId(text: string): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined
  const id = Number(text)
  return id <= MAX_ID ? id : undefined
}

function findNumber(passwd: readonly PasswdEntry[], text: string): PasswdEntry | undefined {
  const uid = parseId(text)
  return uid === undefined ? undefined : passwd.find((entry) => entry.uid === uid)
}

function findGroup(groups: readonly { name: string; gid: number }[], text: string): number {
  const gid = groups.find(({ name }) => name === text)?.gid ?? parseId(text)
  if (gid === undefined) throw unknown('group', text, '/etc/group')
  return gid
}

function parsePasswd(text: string): PasswdEntry[] {
  return lines(text).flatMap(([name = '', , uidText = '', gidText = '', , home = '']) => {
    const uid = parseId(uidText)
    const gid = parseId(gidText)
    return name === '' || uid === undefined || gid === undefined ? [] : [{ name, uid, gid, home }]
  })
}

function parseGroup(text: string): { name: string; gid: number; members: string[] }[] {
  return lines(text).flatMap(([name = '', , gidText = '', members = '']) => {
    const gid = parseId(gidText)
    return name === '' || gid === undefined ? [] : [{ name, gid, members: members.split(',') }]
  })
}

function lines(text: string): string[][] {
  return text.split('\n').map((line) => line.trim().split(':'))
}

function malformed(spec: string): EngineError {
  return new EngineError('ERR_ENGINE_USER', `cannot read ${JSON.stringify(spec)} as a user`, {
    hint: 'write a name or number, or two of them: user:group',
  })
}

function unknown(what: string, text: string, path: string): EngineError {
  return new EngineError(
    'ERR_ENGINE_USER',
    `there is no ${what} ${JSON.stringify(text)} in ${path} of the image`,
    {
      hint: `give a number, or a name that ${path} of the image has`,
    },
  )
}
