import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { applyLayer } from './apply-layer.ts'
import { RootfsError } from './errors.ts'
import {
  dir,
  encodeEntry,
  file,
  hardlink,
  type LiteralEntry,
  paxRecord,
  symlink,
  tar,
} from './literal-tar.test.fixture.ts'
import {
  apply,
  describeTree,
  isRoot,
  temporaryDirectory,
  whiteoutNativeFs,
} from './trees.test.fixture.ts'

// Each test is named after the way in which an unpacker was once broken into.

interface Outcome {
  /** The code of the error, or `done`. */
  inPlace: string
  overlay: string
  /** What the attack left inside the target. */
  tree: Record<string, string>
}

/** Run an attack in both modes, beside a directory that must not change; `lower` is the layer below. */
async function attack(
  entries: LiteralEntry[] | Buffer,
  lower: LiteralEntry[] = [],
): Promise<Outcome> {
  const base = temporaryDirectory()
  const outside = join(base, 'outside')
  mkdirSync(join(outside, 'directory'), { recursive: true })
  writeFileSync(join(outside, 'secret'), 'untouched', { mode: 0o600 })
  writeFileSync(join(outside, 'directory', 'inner'), 'untouched', { mode: 0o600 })
  const before = snapshot(base, outside)

  const target = join(base, 'target')
  await apply(lower, target)
  const inPlace = await codeOf(apply(entries, target))
  expect(snapshot(base, outside)).toEqual(before)

  const lowerDir = join(base, 'lower')
  await apply(lower, lowerDir)
  const lowerBefore = describeTree(lowerDir)
  const overlay = await codeOf(
    apply(entries, join(base, 'upper'), {
      whiteouts: 'overlay',
      lowerDirs: [lowerDir],
      native: whiteoutNativeFs,
    }),
  )
  expect(snapshot(base, outside)).toEqual(before)
  expect(describeTree(lowerDir)).toEqual(lowerBefore)
  return { inPlace, overlay, tree: describeTree(target) }
}

/** Everything outside, with what a write, chmod, chown or new name would change. */
function snapshot(base: string, outside: string): unknown {
  const paths = ['', 'secret', 'directory', 'directory/inner']
  return {
    base: readdirSync(base).filter((name) => !['target', 'lower', 'upper'].includes(name)),
    names: describeTree(outside),
    stats: paths.map((path) => {
      const { mode, uid, gid, nlink, size, mtimeMs, ctimeMs } = lstatSync(join(outside, path))
      return { mode, uid, gid, nlink, size, mtimeMs, ctimeMs }
    }),
  }
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'done'
  } catch (error) {
    if (error instanceof RootfsError) return error.code
    throw error
  }
}

const WAYS_OUT = [
  '../outside',
  '/../outside',
  '../../../../../../outside',
  './../outside/',
  'up/outside',
]

describe('symlink swap of a parent (CVE-2014-6407, CVE-2018-15664, CVE-2021-32803, CVE-2025-45582)', () => {
  test.each(WAYS_OUT)('a file below a symlink to %s stays inside', async (way) => {
    const links = [symlink('up', '..'), symlink('x', way)]
    const { inPlace, overlay, tree } = await attack([...links, file('x/secret', 'evil')])
    expect([inPlace, overlay]).toEqual(['done', 'done'])
    expect(tree['outside/secret']).toContain('evil')
  })

  test.each(WAYS_OUT)('a symlink to %s in the layer below is resolved inside too', async (way) => {
    const lower = [symlink('up', '..'), symlink('x', way)]
    const { tree } = await attack(
      [file('x/secret', 'evil'), dir('x/directory/', { mode: 0o777 })],
      lower,
    )
    expect(tree['outside/secret']).toContain('evil')
  })

  test('a directory that becomes a symlink half-way is a symlink for what follows', async () => {
    const { tree } = await attack([
      dir('x/'),
      file('x/a'),
      symlink('x', '../outside'),
      file('x/secret', 'evil'),
    ])
    expect(tree['outside/secret']).toContain('evil')
  })

  test('a symlink that becomes a directory half-way is a directory for what follows', async () => {
    const { tree } = await attack([
      symlink('x', '../outside'),
      dir('x/', { mode: 0o777 }),
      file('x/secret', 'evil'),
    ])
    expect(tree['x/secret']).toContain('evil')
  })

  test('an absolute symlink to the real directory leads to a path inside the target', async () => {
    const base = temporaryDirectory()
    mkdirSync(join(base, 'outside'))
    await apply([symlink('x', join(base, 'outside')), file('x/new', 'evil')], join(base, 'target'))
    expect(readdirSync(join(base, 'outside'))).toEqual([])
    expect(readFileSync(join(base, 'target', base, 'outside/new'), 'utf8')).toBe('evil')
  })

  test('symlinks in a circle are a typed error', async () => {
    const { inPlace, overlay } = await attack([symlink('a', 'b'), symlink('b', 'a'), file('a/x')])
    expect([inPlace, overlay]).toEqual(['ERR_ROOTFS_LIMIT', 'ERR_ROOTFS_LIMIT'])
  })
})

describe('a hostile process swaps a directory for a symlink while a layer is unpacked (CVE-2018-15664)', () => {
  test.each([
    ['is open', 0],
    ['has been closed', 300],
  ])('nothing is written through it when the directory %s', async (_, others) => {
    const base = temporaryDirectory()
    const target = join(base, 'target')
    const outside = join(base, 'outside')
    mkdirSync(outside)
    const first = [dir('x/'), file('x/a')]
    for (let i = 0; i < others; i++) first.push(dir(`d${i}/`), file(`d${i}/f`))
    async function* source(): AsyncGenerator<Buffer> {
      yield Buffer.concat(first.map(encodeEntry))
      renameSync(join(target, 'x'), join(target, 'moved'))
      symlinkSync(outside, join(target, 'x'))
      yield tar([file('x/b', 'evil'), symlink('x/c', 'evil'), dir('x/d/'), hardlink('x/e', 'x/b')])
    }
    const ownership = isRoot ? 'preserve' : 'squash'
    await codeOf(applyLayer(source(), target, { ownership, whiteouts: 'apply' }))
    expect(readdirSync(outside)).toEqual([])
  })
})

describe('names that climb (CVE-2007-4559)', () => {
  test.each([
    '../outside/secret',
    '/../outside/secret',
    'a/../../outside/secret',
    './../outside//secret',
  ])('dotdot: %s is cleaned into the root', async (name) => {
    const { inPlace, overlay, tree } = await attack([file(name, 'evil')])
    expect([inPlace, overlay]).toEqual(['done', 'done'])
    expect(tree['outside/secret']).toContain('evil')
  })

  test('absolute names start at the root of the target', async () => {
    const { tree } = await attack([file('/etc/passwd', 'evil'), file('//etc//shadow', 'evil')])
    expect(Object.keys(tree)).toEqual(['etc', 'etc/passwd', 'etc/shadow'])
  })

  test('a PAX name climbs no better than a short one', async () => {
    const { tree } = await attack([file('x', 'evil', { pax: { path: '../../outside/secret' } })])
    expect(tree['outside/secret']).toContain('evil')
  })
})

describe('hard links (CVE-2018-20834, CVE-2026-23745, CVE-2026-24842)', () => {
  test.each(['../outside/secret', '/../outside/secret', '../../outside/secret'])(
    'a hard link to outside, %s, finds nothing there',
    async (target) => {
      const { inPlace, overlay } = await attack([hardlink('x', target), file('x', 'evil')])
      expect([inPlace, overlay]).toEqual(['ERR_ROOTFS_LINK_TARGET', 'ERR_ROOTFS_LINK_TARGET'])
    },
  )

  test('a hard link through a symlink is resolved inside the root', async () => {
    const { inPlace, overlay } = await attack([
      symlink('s', '../outside'),
      hardlink('x', 's/secret'),
      file('x', 'evil'),
    ])
    expect([inPlace, overlay]).toEqual(['ERR_ROOTFS_LINK_TARGET', 'ERR_ROOTFS_LINK_TARGET'])
  })

  test('a hard link to a symlink is a second name of the symlink, and writing to it replaces it', async () => {
    const links = [
      symlink('s', '../outside/secret'),
      hardlink('x', 's', { mode: 0o777 }),
      hardlink('y', 's'),
    ]
    const { tree } = await attack([...links, file('x', 'evil', { mode: 0o777 })])
    expect(tree['x']).toContain('evil')
    expect(tree['y']).toContain('symlink ../outside/secret')
  })

  test('a file over a name that is also linked elsewhere leaves the other name alone', async () => {
    const { tree } = await attack([file('a', 'one'), hardlink('b', 'a'), file('a', 'two')])
    expect([tree['a'], tree['b']]).toEqual([
      expect.stringContaining('two'),
      expect.stringContaining('one'),
    ])
  })
})

describe('chmod and chown through a link (CVE-2021-32760)', () => {
  test('a directory entry over a symlink replaces it and does not change what it points to', async () => {
    const { tree } = await attack([symlink('x', '../outside'), dir('x/', { mode: 0o777 })])
    expect(tree['x']).toContain('directory 777')
  })

  test('metadata of a symlink or of a hard link to it stays on the link', async () => {
    const { inPlace } = await attack([
      symlink('x', '../outside/secret', { mode: 0o4777, mtime: 1 }),
      hardlink('y', 'x', { mode: 0o4777, mtime: 1 }),
    ])
    expect(inPlace).toBe('done')
  })
})

describe('the root entry (CVE-2021-29136)', () => {
  test.each(['./', '.', '/', '', 'a/..'])('%j as a symlink is refused', async (name) => {
    const { inPlace, overlay } = await attack([symlink(name, '../outside'), file('secret', 'evil')])
    expect([inPlace, overlay]).toEqual(['ERR_ROOTFS_ENTRY', 'ERR_ROOTFS_ENTRY'])
  })

  test.each(['0', '1', '6'])('the root as an entry of type %s is refused', async (typeflag) => {
    const { inPlace } = await attack([{ name: '.', typeflag, link: 'x' }])
    expect(inPlace).toBe('ERR_ROOTFS_ENTRY')
  })

  test('the target itself being a symlink is refused', async () => {
    const base = temporaryDirectory()
    mkdirSync(join(base, 'outside'))
    symlinkSync('outside', join(base, 'target'))
    await expect(apply([file('a')], join(base, 'target'))).rejects.toThrow()
    expect(readdirSync(join(base, 'outside'))).toEqual([])
  })
})

describe('whiteouts that climb', () => {
  test.each(['.wh...', 'directory/.wh...', '.wh..', '.wh.'])('%s is refused', async (name) => {
    const { inPlace, overlay } = await attack(
      [file(name)],
      [dir('directory/'), file('directory/a')],
    )
    expect([inPlace, overlay]).toEqual(['ERR_ROOTFS_WHITEOUT', 'ERR_ROOTFS_WHITEOUT'])
  })

  test.each([
    '../.wh.outside',
    '../outside/.wh.secret',
    'x/.wh.secret',
    'x/.wh..wh..opq',
    'x/.wh.directory',
  ])('%s removes nothing outside', async (name) => {
    const { inPlace, overlay } = await attack([file(name)], [symlink('x', '../outside')])
    expect([inPlace, overlay]).toEqual(['done', 'done'])
  })

  test('replacing a directory that holds symlinks removes the links only', async () => {
    const { tree } = await attack([file('d', 'file')], [dir('d/'), symlink('d/x', '../../outside')])
    expect(Object.keys(tree)).toEqual(['d'])
  })
})

describe('two readings of one archive (CVE-2025-62518, CVE-2026-53655)', () => {
  test('a PAX size does not apply to the extended header after it', async () => {
    const hidden = encodeEntry(file('smuggled', 'evil'))
    const size = paxRecord('size', String(hidden.length))
    const archive = Buffer.concat([
      encodeEntry({ name: 'pax', typeflag: 'x', content: size }),
      encodeEntry({ name: '././@LongLink', typeflag: 'L', content: 'long\0' }),
      encodeEntry({ ...file('short', hidden), size: 0 }),
      Buffer.alloc(1024),
    ])
    const { tree } = await attack(archive)
    expect(Object.keys(tree)).toEqual(['long'])
    expect(tree['long']).toContain('smuggled')
  })

  test('a PAX name and a GNU name that differ are refused', async () => {
    const archive = Buffer.concat([
      encodeEntry({ name: '././@LongLink', typeflag: 'L', content: 'one\0' }),
      encodeEntry(file('x', '', { pax: { path: 'two' } })),
      Buffer.alloc(1024),
    ])
    expect((await attack(archive)).inPlace).toBe('ERR_ROOTFS_TAR_INVALID')
  })
})

describe('device nodes', () => {
  test('a device is never a whiteout that the image smuggles past its own layer', async () => {
    const base = temporaryDirectory()
    const device: LiteralEntry = { name: 'a', typeflag: '3', device: [0, 0] }
    const result = await apply([device], base, { whiteouts: 'overlay', native: whiteoutNativeFs })
    expect(result.skipped).toEqual([
      {
        entry: 'a',
        what: 'device',
        detail: 'char 0:0',
        reason: 'overlayfs takes it for a whiteout',
      },
    ])
    expect(readdirSync(base)).toEqual([])
  })
})
