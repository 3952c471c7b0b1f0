import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { requires, requiresProgram } from '@cromwell/test-support'
import { describe, expect, test } from 'vitest'
import { applyLayer } from './apply-layer.ts'
import {
  dir,
  file,
  hardlink,
  type LiteralEntry,
  symlink,
  tar,
  tgz,
} from './literal-tar.test.fixture.ts'
import {
  apply,
  chunks,
  describeTree,
  isRoot,
  programNativeFs,
  temporaryDirectory,
  whiteoutNativeFs,
} from './trees.test.fixture.ts'

describe('files and directories', () => {
  test('modes, setuid, setgid and sticky bits are exact, whatever the umask', async () => {
    const target = temporaryDirectory()
    const modes = [0o4755, 0o2755, 0o6711, 0o1777, 0o000, 0o444, 0o666, 0o777]
    const entries = modes.flatMap((mode) => [
      file(`f${mode}`, '', { mode }),
      dir(`d${mode}/`, { mode }),
    ])
    const before = process.umask(0o077)
    try {
      await apply(entries, target)
    } finally {
      process.umask(before)
    }
    for (const mode of modes) {
      expect(lstatSync(join(target, `f${mode}`)).mode & 0o7777).toBe(mode)
      expect(lstatSync(join(target, `d${mode}`)).mode & 0o7777).toBe(mode)
    }
  })

  test('times are those of the archive: of files, symlinks, and directories filled afterwards', async () => {
    const target = temporaryDirectory()
    const at = (mtime: number) => ({ mtime })
    await apply(
      [
        dir('./', at(50)),
        dir('d/', at(100)),
        file('d/f', 'x', at(200)),
        symlink('d/l', 'nowhere', at(300)),
        dir('d/d/', at(400)),
        file('d/d/before', '', { pax: { mtime: '-1.5' } }),
        file('d/d/fraction', '', { pax: { mtime: '1700000000.123456789' } }),
      ],
      target,
    )
    const seconds = (path: string) => lstatSync(join(target, path)).mtimeMs / 1000
    expect(['.', 'd', 'd/f', 'd/l', 'd/d', 'd/d/before'].map(seconds)).toEqual([
      50, 100, 200, 300, 400, -1.5,
    ])
    expect(seconds('d/d/fraction')).toBeCloseTo(1_700_000_000.123456, 5)
  })

  test('a directory without write permission is filled all the same', async () => {
    const target = temporaryDirectory()
    await apply(
      [dir('d/', { mode: 0o555 }), dir('d/e/', { mode: 0o000 }), file('d/e/f', 'x')],
      target,
    )
    expect(lstatSync(join(target, 'd')).mode & 0o7777).toBe(0o555)
    await apply([file('d/e/g', 'y')], target)
    expect(lstatSync(join(target, 'd/e')).mode & 0o7777).toBe(0)
  })

  test('a directory that nobody may enter can hold more directories than are kept open', async () => {
    const target = temporaryDirectory()
    const children = Array.from({ length: 400 }, (_, i) => dir(`d/${i}/`, { mtime: 5 }))
    await apply([dir('d/', { mode: 0 }), ...children], target)
    expect(lstatSync(join(target, 'd')).mode & 0o7777).toBe(0)
  })

  test('parents that no entry names are made as mkdir -p by root would, at the epoch', async () => {
    const target = temporaryDirectory()
    await apply([file('a/b/c', 'x', { mtime: 1 })], target)
    expect(describeTree(target)).toEqual({
      a: 'directory 755 @0',
      'a/b': 'directory 755 @0',
      'a/b/c': 'file 644 x @1',
    })
  })

  test('names that are not UTF-8 keep their bytes', async () => {
    const target = temporaryDirectory()
    await apply(
      [file(Buffer.from([0x61, 0xff]), '1'), file(Buffer.from([0x61, 0xfe]), '2')],
      target,
    )
    const names = readdirSync(target, { encoding: 'buffer' }).map((name) => name.toString('latin1'))
    expect(names.sort()).toEqual(['a\xfe', 'a\xff'])
  })

  test('of duplicates the last one counts, also across types', async () => {
    const target = temporaryDirectory()
    const changes = [
      file('a', '1'),
      dir('a/'),
      file('a/x'),
      symlink('a', 'b'),
      file('a', '2', { mtime: 1 }),
    ]
    await apply(changes, target)
    expect(describeTree(target)).toEqual({ a: 'file 644 2 @1' })
  })

  test('an entry below a file is a typed error', async () => {
    const work = apply([file('a'), file('a/b')], temporaryDirectory())
    await expect(work).rejects.toMatchObject({ code: 'ERR_ROOTFS_NOT_DIRECTORY', entry: '/a' })
  })

  test('a directory of the layer below keeps its metadata when something in it changes', async () => {
    const target = temporaryDirectory()
    await apply([dir('d/', { mode: 0o2750, mtime: 5 }), file('d/a')], target)
    await apply([file('d/b'), file('d/.wh.a')], target)
    expect(describeTree(target)).toMatchObject({ d: 'directory 2750 @5', 'd/b': expect.anything() })
  })
})

describe('hard links', () => {
  test('within a layer are one inode, with the metadata of the first', async () => {
    const target = temporaryDirectory()
    await apply(
      [file('a', 'x', { mode: 0o600 }), hardlink('b', 'a', { mode: 0o777 }), hardlink('c', '/b')],
      target,
    )
    const [a, b, c] = ['a', 'b', 'c'].map((name) => statSync(join(target, name)))
    expect([b?.ino, c?.ino, c?.mode, c?.nlink]).toEqual([a?.ino, a?.ino, a?.mode, 3])
  })

  test('to a file of a lower layer make it part of this one', async () => {
    const base = temporaryDirectory()
    const lower = join(base, 'lower')
    await apply(
      [dir('d/', { mtime: 7 }), file('d/a', 'x', { mode: 0o4755, mtime: 5 }), symlink('s', 'd/a')],
      lower,
    )
    const upper = join(base, 'upper')
    await apply([hardlink('b', 'd/a'), hardlink('c', 's')], upper, {
      whiteouts: 'overlay',
      lowerDirs: [lower],
    })
    expect(describeTree(upper)).toMatchObject({
      d: 'directory 755 @7',
      'd/a': 'file 4755 x @5',
      b: 'file 4755 x @5',
      c: expect.stringContaining('symlink d/a'),
    })
    expect(statSync(join(upper, 'b')).ino).toBe(statSync(join(upper, 'd/a')).ino)
    expect(statSync(join(lower, 'd/a')).nlink).toBe(1)
  })

  test('to a later entry, a directory, or something whited out below are typed errors', async () => {
    const code = { code: 'ERR_ROOTFS_LINK_TARGET' }
    await expect(
      apply([hardlink('a', 'b'), file('b')], temporaryDirectory()),
    ).rejects.toMatchObject(code)
    await expect(
      apply([dir('d/'), hardlink('a', 'd')], temporaryDirectory()),
    ).rejects.toMatchObject(code)
    await expect(
      apply([file('d/f'), hardlink('d', 'd/f')], temporaryDirectory()),
    ).rejects.toMatchObject(code)
  })

  test('to itself change nothing', async () => {
    const target = temporaryDirectory()
    await apply([file('a', 'x', { mtime: 1 }), hardlink('a', './a')], target)
    expect(describeTree(target)).toEqual({ a: 'file 644 x @1' })
  })
})

describe('whiteouts', () => {
  const lower = [
    dir('a/', { mtime: 1 }),
    file('a/old', '', { mtime: 1 }),
    file('b', '', { mtime: 1 }),
  ]
  const cases: [string, LiteralEntry[], string[]][] = [
    ['hide a file of the layer below', [file('.wh.b')], ['a', 'a/old']],
    ['hide a directory of the layer below', [file('.wh.a')], ['b']],
    [
      'spare a file of the same layer that came first',
      [file('b'), file('.wh.b')],
      ['a', 'a/old', 'b'],
    ],
    [
      'spare a file of the same layer that came later',
      [file('.wh.b'), file('b')],
      ['a', 'a/old', 'b'],
    ],
    [
      'hide what is below a directory made anew before',
      [dir('a/'), file('a/new'), file('.wh.a')],
      ['a', 'a/new', 'b'],
    ],
    [
      'hide what is below a directory made anew after',
      [file('.wh.a'), dir('a/'), file('a/new')],
      ['a', 'a/new', 'b'],
    ],
    [
      'hide what is below a directory that no entry names',
      [file('a/new'), file('.wh.a')],
      ['a', 'a/new', 'b'],
    ],
    [
      'make a directory opaque at the start',
      [dir('a/'), file('a/.wh..wh..opq'), file('a/new')],
      ['a', 'a/new', 'b'],
    ],
    [
      'make a directory opaque at the end',
      [file('a/new'), file('a/.wh..wh..opq')],
      ['a', 'a/new', 'b'],
    ],
    ['make the root opaque', [file('.wh..wh..opq'), file('c')], ['c']],
    [
      'of what is not there do nothing',
      [file('.wh.nothing'), file('no/where/.wh.a')],
      ['a', 'a/old', 'b'],
    ],
    ['of a name below a file do nothing', [file('b/.wh.x')], ['a', 'a/old', 'b']],
    ['inside and then of the directory hide it', [file('a/.wh.old'), file('.wh.a')], ['b']],
    ['have no body', [file('.wh.b', 'ignored')], ['a', 'a/old']],
    [
      'of aufs are ignored',
      [dir('.wh..wh.plnk/'), file('.wh..wh.plnk/1.2', 'x'), file('.wh..wh.aufs')],
      ['a', 'a/old', 'b'],
    ],
    ['do not survive a file over a directory and back', [file('a'), dir('a/')], ['a', 'b']],
  ]

  test.each(cases)('%s', async (_, entries, expected) => {
    const base = temporaryDirectory()
    const target = join(base, 'in-place')
    await apply(lower, target)
    await apply(entries, target)
    expect(Object.keys(describeTree(target))).toEqual(expected)
  })

  test('for overlayfs are devices 0:0, and only for names that are below', async () => {
    const base = temporaryDirectory()
    const upper = join(base, 'upper')
    await apply(lower, join(base, 'lower'))
    const entries = [
      file('.wh.b'),
      file('.wh.nothing'),
      dir('a/', { mtime: 2 }),
      file('a/.wh..wh..opq'),
    ]
    await apply(entries, upper, {
      whiteouts: 'overlay',
      lowerDirs: [join(base, 'lower')],
      native: whiteoutNativeFs,
    })
    expect(describeTree(upper)).toEqual({
      a: 'directory 755 @2',
      'a/old': expect.stringMatching(/^device \d+ 0$/),
      b: expect.stringMatching(/^device \d+ 0$/),
    })
  })

  test('for overlayfs need mknod, and the error says so', async () => {
    const base = temporaryDirectory()
    await apply(lower, join(base, 'lower'))
    const options = { whiteouts: 'overlay', lowerDirs: [join(base, 'lower')] } as const
    const work = apply([file('.wh.b')], join(base, 'upper'), options)
    await expect(work).rejects.toMatchObject({ code: 'ERR_ROOTFS_UNSUPPORTED', entry: '/b' })
  })
})

describe('ownership', () => {
  const foreign = [
    file('f', '', { uid: 1234, gid: 2345, mode: 0o4755 }),
    symlink('l', 'f', { uid: 1234 }),
    dir('d/', { uid: 1234 }),
  ]

  test('is given to files before their setuid bit, and to symlinks themselves', async (context) => {
    requires(context, 'root', isRoot, 'only root gives files away')
    const target = temporaryDirectory()
    await apply(foreign, target, { ownership: 'preserve' })
    const { uid, gid, mode } = lstatSync(join(target, 'f'))
    expect([uid, gid, mode & 0o7777]).toEqual([1234, 2345, 0o4755])
    expect([lstatSync(join(target, 'l')).uid, lstatSync(join(target, 'd')).uid]).toEqual([
      1234, 1234,
    ])
  })

  test('is the caller’s when squashed', async () => {
    const target = temporaryDirectory()
    await apply(foreign, target, { ownership: 'squash' })
    const owners = ['f', 'l', 'd'].map((name) => lstatSync(join(target, name)).uid)
    expect(new Set(owners)).toEqual(new Set([process.getuid?.()]))
    expect(lstatSync(join(target, 'f')).mode & 0o7777).toBe(0o4755)
  })

  test('that this process may not give is a typed error with a hint', async (context) => {
    requires(context, 'plain-user', !isRoot, 'root may give files to anybody')
    const work = apply(foreign, temporaryDirectory(), { ownership: 'preserve' })
    await expect(work).rejects.toMatchObject({
      code: 'ERR_ROOTFS_OWNERSHIP',
      hint: expect.stringContaining('subuid'),
    })
  })

  test('by the id that chown(2) takes for "unchanged" is refused', async () => {
    const entry = file('f', '', { pax: { uid: '4294967295' } })
    const work = apply([entry], temporaryDirectory(), { ownership: 'preserve' })
    await expect(work).rejects.toMatchObject({ code: 'ERR_ROOTFS_OWNERSHIP' })
  })
})

describe('devices, FIFOs and extended attributes', () => {
  const special: LiteralEntry[] = [
    { name: 'null', typeflag: '3', device: [1, 3], mode: 0o666 },
    { name: 'disk', typeflag: '4', device: [8, 0] },
    { name: 'pipe', typeflag: '6', mode: 0o640 },
  ]

  test('are skipped and listed without the native calls', async () => {
    const target = temporaryDirectory()
    const xattrs = file('f', '', { pax: { 'SCHILY.xattr.user.a': 'b' } })
    const { skipped, skippedTotal } = await apply([...special, xattrs], target)
    expect(skipped.map(({ entry, detail }) => `${entry}: ${detail}`)).toEqual([
      'null: char 1:3',
      'disk: block 8:0',
      'pipe: fifo',
      'f: user.a',
    ])
    expect(skippedTotal).toBe(4)
    expect(readdirSync(target)).toEqual(['f'])
  })

  test('a hard link to a device that was skipped is skipped too', async () => {
    const target = temporaryDirectory()
    const { skipped } = await apply([...special, hardlink('zero', 'null')], target)
    expect(skipped.at(-1)).toMatchObject({ entry: 'zero', reason: 'its target was skipped' })
    await apply([...special, file('null', 'x'), hardlink('zero', 'null')], target)
    expect(readdirSync(target)).toEqual(['null', 'zero'])
  })

  test('FIFOs are made, and devices where the kernel lets us', async () => {
    const target = temporaryDirectory()
    const { skipped } = await apply(special, target, { native: programNativeFs })
    expect(lstatSync(join(target, 'pipe')).isFIFO()).toBe(true)
    expect(lstatSync(join(target, 'pipe')).mode & 0o7777).toBe(0o640)
    const made = skipped.length === 0
    expect(made || skipped.every((item) => item.reason === 'EPERM')).toBe(true)
    if (made) expect(lstatSync(join(target, 'null')).rdev).toBe(0x103)
  })

  test('attributes are set with their bytes, on files that are read-only too', async (context) => {
    requiresProgram(context, 'setfattr')
    const target = temporaryDirectory()
    const value = Buffer.from([0, 0xff, 0x0a, 0x3d])
    const pax = { 'SCHILY.xattr.user.binary': value }
    const { skipped } = await apply(
      [file('f', '', { mode: 0o444, pax }), dir('d/', { pax })],
      target,
      { native: programNativeFs },
    )
    requires(
      context,
      'user xattrs',
      !skipped.some(({ reason }) => reason === 'ENOTSUP'),
      'this file system has none',
    )
    for (const name of ['f', 'd'])
      expect(programNativeFs.getxattr(join(target, name), 'user.binary')).toEqual(value)
  })

  test('overlay attributes of the image are escaped, those of its builder dropped', async (context) => {
    requiresProgram(context, 'setfattr')
    const target = temporaryDirectory()
    const pax = {
      'SCHILY.xattr.user.overlay.opaque': 'y',
      'SCHILY.xattr.user.overlay.redirect': '/etc',
      'SCHILY.xattr.user.rootlesscontainers': 'x',
      'SCHILY.xattr.security.selinux': 'x',
      'SCHILY.xattr.system.nfs4_acl': 'x',
      'SCHILY.xattr.user.kept': 'x',
    }
    const { skipped } = await apply([dir('d/', { pax })], target, {
      whiteouts: 'overlay',
      native: programNativeFs,
    })
    requires(
      context,
      'user xattrs',
      !skipped.some(({ reason }) => reason === 'ENOTSUP'),
      'this file system has none',
    )
    const names = programNativeFs
      .listxattr?.(join(target, 'd'))
      .filter((name) => name.startsWith('user.'))
    expect(names?.sort()).toEqual([
      'user.kept',
      'user.overlay.overlay.opaque',
      'user.overlay.overlay.redirect',
    ])
    expect(skipped).toEqual([])
  })
})

describe('the stream', () => {
  const layer = [dir('d/'), file('d/f', 'x'.repeat(100_000))]
  const ownership = 'squash'
  const whiteouts = 'apply'

  test('its diffID covers every uncompressed byte, padding too', async () => {
    const bytes = Buffer.concat([tar(layer), Buffer.alloc(9000)])
    const diffId = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    const result = await applyLayer(chunks(bytes, 1000), temporaryDirectory(), {
      ownership,
      whiteouts,
      expectDiffId: diffId,
    })
    expect(result).toMatchObject({ diffId, entries: 2, bytes: 100_000 })
  })

  test('another diffID than expected is a typed error', async () => {
    const expectDiffId = `sha256:${'0'.repeat(64)}`
    const work = applyLayer(chunks(tgz(layer)), temporaryDirectory(), {
      ownership,
      whiteouts,
      expectDiffId,
    })
    await expect(work).rejects.toMatchObject({ code: 'ERR_ROOTFS_DIFFID' })
  })

  test('an abort stops it with the signal’s reason', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    async function* source(): AsyncGenerator<Buffer> {
      yield tar(layer).subarray(0, 5000)
      controller.abort(reason)
      yield tar(layer).subarray(5000)
    }
    const work = applyLayer(source(), temporaryDirectory(), {
      ownership,
      whiteouts,
      signal: controller.signal,
    })
    await expect(work).rejects.toBe(reason)
  })

  test('progress counts compressed bytes', async () => {
    const bytes = tgz(layer)
    const seen: number[] = []
    const onProgress = ({ readBytes }: { readBytes: number }) => void seen.push(readBytes)
    await applyLayer(chunks(bytes, 100), temporaryDirectory(), { ownership, whiteouts, onProgress })
    expect(seen.at(-1)).toBe(bytes.length)
  })

  test('no descriptor stays open, however it ends', async () => {
    const count = () => readdirSync('/proc/self/fd').length
    const before = count()
    await apply(layer, temporaryDirectory())
    await expect(apply(tar(layer).subarray(0, 3000), temporaryDirectory())).rejects.toThrow()
    expect(count()).toBe(before)
  })
})

describe('beside GNU tar', () => {
  test.each(['v7', 'ustar', 'gnu', 'oldgnu', 'posix'])(
    'an archive in format %s gives the same tree',
    async (format) => {
      const base = temporaryDirectory()
      const source = join(base, 'source')
      const long = format === 'v7' ? 'x'.repeat(80) : `${'d'.repeat(60)}/${'e'.repeat(60)}`
      mkdirSync(join(source, long), { recursive: true })
      writeFileSync(join(source, long, 'file'), 'content')
      const longName = ['gnu', 'oldgnu', 'posix'].includes(format) ? 'ä'.repeat(120) : 'short'
      writeFileSync(join(source, longName), 'y'.repeat(5000), { mode: 0o640 })
      execFileSync('sh', [
        '-c',
        `cd "$1" && ln "$2" hard && ln -s "$2" soft && ln -s /absolute/link absolute && find . -exec touch -h -d @1700000000.5 {} +`,
        'sh',
        source,
        longName,
      ])
      const archive = execFileSync('tar', ['--format', format, '-C', source, '-c', '.'])
      const expected = join(base, 'expected')
      mkdirSync(expected)
      execFileSync('tar', ['-C', expected, '-xp'], { input: archive })
      const target = join(base, 'target')
      await apply(archive, target)
      expect(describeTree(target)).toEqual(describeTree(expected))
      expect(readFileSync(join(target, 'hard')).length).toBe(5000)
    },
  )
})
