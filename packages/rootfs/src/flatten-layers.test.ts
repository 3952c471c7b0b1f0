import { lstatSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { requires, requiresProgram } from '@cromwell/test-support'
import { expect, test } from 'vitest'
import { flattenLayers } from './flatten-layers.ts'
import { dir, file, hardlink, symlink } from './literal-tar.test.fixture.ts'
import {
  apply,
  describeTree,
  isRoot,
  programNativeFs,
  temporaryDirectory,
  whiteoutNativeFs,
} from './trees.test.fixture.ts'

test('a flattened tree has the modes, times, links and owners of the layers', async () => {
  const base = temporaryDirectory()
  const [lower, upper, target] = ['lower', 'upper', 'target'].map((name) => join(base, name))
  const owner = isRoot ? { uid: 1234, gid: 2345 } : {}
  const first = [
    dir('./', { mode: 0o711, mtime: 9 }),
    dir('d/', { mode: 0o2551, mtime: 5 }),
    file('d/f', 'x', { mode: 0o4755, mtime: 6, ...owner }),
    hardlink('d/g', 'd/f'),
    symlink('l', '/d/f', { mtime: 7 }),
    file('gone', 'x'),
  ]
  await apply(first, lower ?? '')
  const options = {
    whiteouts: 'overlay',
    lowerDirs: [lower ?? ''],
    native: whiteoutNativeFs,
  } as const
  await apply([file('.wh.gone'), file('new', 'y', { mtime: 8 })], upper ?? '', options)
  const result = flattenLayers([lower ?? '', upper ?? ''], target ?? '')
  expect(result).toMatchObject({ entries: 5, bytes: 2, skipped: [] })
  expect(describeTree(target ?? '')).toEqual({
    d: 'directory 2551 @5',
    'd/f': 'file 4755 x @6',
    'd/g': 'file 4755 x @6',
    l: 'symlink /d/f @7',
    new: 'file 644 y @8',
  })
  expect(statSync(target ?? '')).toMatchObject({ mtimeMs: 9000 })
  expect(lstatSync(join(target ?? '', 'd/g')).ino).toBe(lstatSync(join(target ?? '', 'd/f')).ino)
  if (isRoot) expect(lstatSync(join(target ?? '', 'd/f'))).toMatchObject({ uid: 1234, gid: 2345 })
})

test('attributes and FIFOs are copied with the native calls', async (context) => {
  requiresProgram(context, 'setfattr')
  const base = temporaryDirectory()
  const pax = { 'SCHILY.xattr.user.a': 'b' }
  const entries = [file('f', '', { pax }), dir('d/', { pax }), { name: 'pipe', typeflag: '6' }]
  const { skipped } = await apply(entries, join(base, 'layer'), { native: programNativeFs })
  requires(context, 'user xattrs', skipped.length === 0, 'this file system has none')
  flattenLayers([join(base, 'layer')], join(base, 'target'), { native: programNativeFs })
  for (const name of ['f', 'd']) {
    expect(programNativeFs.getxattr(join(base, 'target', name), 'user.a')?.toString()).toBe('b')
  }
  expect(lstatSync(join(base, 'target/pipe')).isFIFO()).toBe(true)
})

test('a target that is not empty is refused', async () => {
  const base = temporaryDirectory()
  await apply([file('f')], base)
  expect(() => flattenLayers([], base)).toThrow(
    expect.objectContaining({ code: 'ERR_ROOTFS_WRITE' }),
  )
})

test('an abort stops it', async () => {
  const base = temporaryDirectory()
  await apply([dir('d/'), file('d/f')], join(base, 'layer'))
  const signal = AbortSignal.abort(new Error('enough'))
  expect(() => flattenLayers([join(base, 'layer')], join(base, 'target'), { signal })).toThrow(
    'enough',
  )
  expect(readdirSync(join(base, 'target'))).toEqual([])
})
