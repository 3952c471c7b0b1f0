import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { temporaryDirectory } from '../container.test.fixture.ts'
import { nativeFs } from '../native-fs.ts'
import { applyUpper } from './apply-changes.ts'
import { Directory, using } from './directory.ts'
import { readChanges } from './read-changes.ts'

// Upper directories as overlayfs writes them, made by hand.

let upper: string
let lower: string

beforeEach(() => {
  const directory = temporaryDirectory()
  upper = join(directory, 'upper')
  lower = join(directory, 'lower')
  for (const path of [upper, lower]) mkdirSync(path)
})

/** Files (`content`), directories (`null`), links (`-> target`), whiteouts (`-`). */
function make(top: string, entries: Record<string, string | null>): void {
  for (const [name, what] of Object.entries(entries)) {
    const path = join(top, name)
    if (what === null) mkdirSync(path, { recursive: true })
    else if (what === '-') nativeFs.mknod(path, 0o020000, 0)
    else if (what.startsWith('-> ')) symlinkSync(what.slice(3), path)
    else {
      writeFileSync(path, what)
      utimesSync(path, 1, 1)
    }
  }
}

/** `type path kind` of each change. */
function changes(...lowerDirs: readonly string[]): string[] {
  const overlay = { upperDir: upper, lowerDirs: lowerDirs.length === 0 ? [lower] : lowerDirs }
  return [...readChanges(overlay)].map(({ type, path, kind, previousKind }) =>
    [type, path, previousKind, kind].filter((part) => part !== undefined).join(' '),
  )
}

function setOpaque(path: string, value = 'y'): void {
  nativeFs.setxattr(path, 'user.overlay.opaque', Buffer.from(value))
}

/** Everything in a directory with its type and content. */
function tree(top: string, below = ''): Record<string, string> {
  const entries = readdirSync(join(top, below)).flatMap((name): [string, string][] => {
    const path = join(below, name)
    const stat = lstatSync(join(top, path))
    if (stat.isDirectory()) return [[path, '/'], ...Object.entries(tree(top, path))]
    if (stat.isSymbolicLink()) return [[path, `-> ${readlinkSync(join(top, path))}`]]
    return [[path, stat.isFile() ? readFileSync(join(top, path), 'utf8') : 'special']]
  })
  return Object.fromEntries(entries)
}

test('what is new, different and gone is told, in the order of names', () => {
  make(lower, { dir: null, 'dir/a': 'a', 'dir/b': 'b', gone: null, 'gone/x': 'x', link: '-> a' })
  make(upper, { dir: null, 'dir/a': 'A!', 'dir/b': '-', gone: '-', new: null, 'new/f': 'f' })
  make(upper, { link: '-> b', 'new/l': '-> f' })
  expect(changes()).toEqual([
    'modify /dir/a file',
    'delete /dir/b file',
    'delete /gone directory',
    'modify /link symlink',
    'add /new directory',
    'add /new/f file',
    'add /new/l symlink',
  ])
})

test('what was copied up and not changed is no change; the time of a directory is none', () => {
  make(lower, { dir: null, 'dir/a': 'same', link: '-> x' })
  make(upper, { dir: null, 'dir/a': 'same' })
  utimesSync(join(upper, 'dir'), 5, 5)
  expect(changes()).toEqual([])
  writeFileSync(join(upper, 'dir', 'a'), 'diff')
  utimesSync(join(upper, 'dir', 'a'), 1, 1)
  expect(changes()).toEqual(['modify /dir/a file'])
  writeFileSync(join(upper, 'dir', 'a'), 'same')
  utimesSync(join(upper, 'dir', 'a'), 1, 1)
  chmodSync(join(upper, 'dir', 'a'), 0o600)
  chmodSync(join(upper, 'dir'), 0o700)
  expect(changes()).toEqual(['modify /dir directory', 'modify /dir/a file'])
  chmodSync(join(upper, 'dir', 'a'), 0o644)
  nativeFs.setxattr(join(upper, 'dir', 'a'), 'user.note', Buffer.from('x'))
  expect(changes()).toEqual(['modify /dir directory', 'modify /dir/a file'])
})

test('an opaque directory hides what is below: its names are deleted, replaced or new', () => {
  make(lower, { d: null, 'd/old': '', 'd/kept': 'k', 'd/sub': null, 'd/sub/x': '' })
  make(upper, { d: null, 'd/kept': 'k', 'd/sub': null, 'd/new': '' })
  setOpaque(join(upper, 'd'))
  expect(changes()).toEqual(['add /d/new file', 'delete /d/old file', 'delete /d/sub/x file'])
})

test('whiteouts by attribute are known', () => {
  make(lower, { a: 'a', b: 'b' })
  make(upper, { a: '', b: '' })
  nativeFs.setxattr(join(upper, 'a'), 'user.overlay.whiteout', Buffer.alloc(0))
  setOpaque(upper, 'x')
  expect(changes()).toEqual(['delete /a file', 'modify /b file'])
})

test('of several lower layers the merge counts, with their whiteouts and opaque directories', () => {
  const top = join(lower, '..', 'top')
  mkdirSync(top)
  make(lower, { a: '1', b: '1', d: null, 'd/x': '1', o: null, 'o/hidden': '' })
  make(top, { a: '2', b: '-', d: null, 'd/y': '2', o: null })
  setOpaque(join(top, 'o'))
  make(upper, { a: '1', b: 'back', d: null, 'd/x': '-', 'd/y': '2', o: null, 'o/hidden': 'n' })
  expect(changes(lower, top)).toEqual([
    'modify /a file',
    'add /b file',
    'delete /d/x file',
    'add /o/hidden file',
  ])
})

test('a kind that changed is told, both ways', () => {
  make(lower, { a: 'file', b: null, 'b/x': '' })
  make(upper, { a: null, 'a/y': '', b: 'file' })
  expect(changes()).toEqual([
    'modify /a file directory',
    'add /a/y file',
    'modify /b directory file',
  ])
})

test('names that are no UTF-8 are told apart by their bytes', () => {
  for (const byte of [0xfe, 0xff])
    writeFileSync(Buffer.concat([Buffer.from(`${upper}/x`), Buffer.of(byte)]), '')
  const found = [...readChanges({ upperDir: upper, lowerDirs: [lower] })]
  expect(found.map(({ path }) => path)).toEqual(['/x\ufffd', '/x\ufffd'])
  expect(found.map(({ rawPath }) => Buffer.from(rawPath ?? []).at(-1))).toEqual([0xfe, 0xff])
})

test('redirected directories and files without content are refused', () => {
  for (const feature of ['redirect', 'metacopy']) {
    make(upper, { [feature]: null })
    const name = `user.overlay.${feature}`
    nativeFs.setxattr(join(upper, feature), name, Buffer.from('/elsewhere'))
    expect(() => changes()).toThrow(expect.objectContaining({ code: 'ERR_NS_OVERLAY' }))
    expect(() => applyUpper(upper, lower)).toThrow(feature)
    nativeFs.removexattr(join(upper, feature), name)
  }
})

test('applied, a directory has what the overlay shows, and applying again changes nothing', () => {
  make(lower, { keep: 'k', dir: null, 'dir/a': 'a', 'dir/b': 'b', gone: null, 'gone/x': 'x' })
  make(lower, {
    o: null,
    'o/old': '',
    'o/sub': null,
    'o/sub/old': '',
    f: 'file',
    t: null,
    't/x': '',
  })
  make(upper, { dir: null, 'dir/a': 'A', 'dir/b': '-', gone: '-', o: null, 'o/sub': null })
  make(upper, { f: null, 'f/in': 'in', t: '-> nowhere', 'o/new': 'n' })
  setOpaque(join(upper, 'o'))
  const wanted = {
    keep: 'k',
    dir: '/',
    'dir/a': 'A',
    o: '/',
    'o/new': 'n',
    'o/sub': '/',
    f: '/',
    'f/in': 'in',
    t: '-> nowhere',
  }
  expect(applyUpper(upper, lower)).toEqual({ written: 8, removed: 6 })
  expect(tree(lower)).toEqual(wanted)
  expect(applyUpper(upper, lower)).toEqual({ written: 8, removed: 0 })
  expect(tree(lower)).toEqual(wanted)
  expect(changes()).toEqual([])
})

test('modes, times, attributes and hard links are applied; attributes that are gone go', () => {
  make(lower, { a: 'old' })
  nativeFs.setxattr(join(lower, 'a'), 'user.gone', Buffer.from('x'))
  make(upper, { a: 'new', d: null, 'd/b': '' })
  linkSync(join(upper, 'a'), join(upper, 'd', 'linked'))
  nativeFs.setxattr(join(upper, 'a'), 'user.kept', Buffer.from('y'))
  chmodSync(join(upper, 'a'), 0o4711)
  chmodSync(join(upper, 'd'), 0o2751)
  utimesSync(join(upper, 'd'), 7, 8)
  applyUpper(upper, lower)
  const [file, directory] = [lstatSync(join(lower, 'a')), lstatSync(join(lower, 'd'))]
  expect([file.mode & 0o7777, Math.floor(file.mtimeMs), file.nlink]).toEqual([0o4711, 1000, 2])
  expect(lstatSync(join(lower, 'd', 'linked')).ino).toBe(file.ino)
  expect([directory.mode & 0o7777, Math.floor(directory.mtimeMs)]).toEqual([0o2751, 8000])
  expect(nativeFs.listxattr(join(lower, 'a'))).toEqual(['user.kept'])
  applyUpper(upper, lower)
  expect(tree(lower)).toEqual({ a: 'new', d: '/', 'd/b': '', 'd/linked': 'new' })
})

test('links in the target are replaced, never followed: nothing outside is touched', () => {
  const outside = temporaryDirectory()
  make(outside, { secret: 'of the host', d: null, 'd/x': 'x' })
  make(lower, {
    file: `-> ${outside}/secret`,
    dir: `-> ${outside}/d`,
    gone: `-> ${outside}/d`,
    opaque: `-> ${outside}`,
  })
  make(upper, { file: 'new', dir: null, 'dir/x': 'new', gone: '-', opaque: null })
  setOpaque(join(upper, 'opaque'))
  applyUpper(upper, lower)
  expect(tree(outside)).toEqual({ secret: 'of the host', d: '/', 'd/x': 'x' })
  expect(tree(lower)).toEqual({ file: 'new', dir: '/', 'dir/x': 'new', opaque: '/' })
})

test('a link is never entered, even when it has just taken the place of a directory', () => {
  make(lower, { link: `-> ${upper}` })
  using(Directory.open(lower), (top) => {
    expect(() => top.enter('link')).toThrow('ENOTDIR')
  })
})

test('directories that are deep, or closed to their owner, are removed', () => {
  let path = join(lower, 'deep')
  for (let depth = 0; depth < 400; depth++) {
    mkdirSync(path)
    path = join(path, 'd')
  }
  make(lower, { closed: null, 'closed/x': '' })
  chmodSync(join(lower, 'closed'), 0)
  using(Directory.open(lower), (top) => top.clear())
  expect(readdirSync(lower)).toEqual([])
})
