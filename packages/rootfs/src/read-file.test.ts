import { execFileSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { requiresProgram } from '@cromwell/test-support'
import { expect, test } from 'vitest'
import { dir, file, type LiteralEntry, symlink } from './literal-tar.test.fixture.ts'
import { readFileFromLayers } from './read-file.ts'
import {
  apply,
  programNativeFs,
  temporaryDirectory,
  whiteoutNativeFs,
} from './trees.test.fixture.ts'

async function stack(...layers: LiteralEntry[][]): Promise<string[]> {
  const base = temporaryDirectory()
  const lowerDirs: string[] = []
  for (const [index, layer] of layers.entries()) {
    const directory = join(base, String(index))
    await apply(layer, directory, {
      whiteouts: 'overlay',
      lowerDirs: [...lowerDirs],
      native: whiteoutNativeFs,
    })
    lowerDirs.push(directory)
  }
  return lowerDirs
}

const text = (lowerDirs: string[], path: string) => readFileFromLayers(lowerDirs, path)?.toString()

test('the topmost layer that has the file wins', async () => {
  const layers = await stack(
    [file('etc/passwd', 'base'), file('etc/group', 'base')],
    [file('etc/passwd', 'top')],
  )
  expect([text(layers, '/etc/passwd'), text(layers, 'etc/group')]).toEqual(['top', 'base'])
})

test('a whiteout and an opaque directory hide what is below', async () => {
  const base = [file('a', '1'), file('d/x', '1'), file('d/y', '1')]
  const layers = await stack(base, [file('.wh.a'), file('d/.wh..wh..opq'), file('d/y', '2')])
  expect([text(layers, '/a'), text(layers, '/d/x'), text(layers, '/d/y')]).toEqual([
    undefined,
    undefined,
    '2',
  ])
})

test('symlinks are followed across layers, absolute ones from the root', async () => {
  const layers = await stack(
    [symlink('etc', '/usr/etc'), symlink('up', '../../../usr')],
    [file('usr/etc/f', 'x')],
  )
  expect([text(layers, '/etc/f'), text(layers, '/up/etc/f'), text(layers, '/../etc/./f')]).toEqual([
    'x',
    'x',
    'x',
  ])
})

test('a symlink out of the layers finds what is inside, never the host’s file', async () => {
  const base = temporaryDirectory()
  const layer = join(base, 'layer')
  mkdirSync(layer)
  writeFileSync(join(base, 'secret'), 'secret')
  symlinkSync(join(base, 'secret'), join(layer, 'absolute'))
  symlinkSync('../secret', join(layer, 'relative'))
  symlinkSync('..', join(layer, 'parent'))
  for (const path of ['absolute', 'relative', 'parent/secret'])
    expect(text([layer], path)).toBeUndefined()
})

test('what is no regular file is not read', async () => {
  const layers = await stack([dir('d/'), symlink('loop', 'nothing')])
  execFileSync('mkfifo', [join(layers[0] ?? '', 'pipe')])
  for (const path of ['/', '/d', '/loop', '/pipe', '/d/missing'])
    expect(text(layers, path)).toBeUndefined()
})

test('a file that is too large is a typed error', async () => {
  const layers = await stack([file('big', 'x'.repeat(100))])
  const read = () => readFileFromLayers(layers, '/big', { maxBytes: 99 })
  expect(read).toThrow(expect.objectContaining({ code: 'ERR_ROOTFS_LIMIT', limit: 'maxBytes' }))
})

test('symlinks in a circle are a typed error', async () => {
  const layers = await stack([symlink('a', 'b'), symlink('b', 'a')])
  expect(() => readFileFromLayers(layers, '/a')).toThrow(
    expect.objectContaining({ code: 'ERR_ROOTFS_LIMIT' }),
  )
})

test('a directory that another tool marked opaque is opaque, given getxattr', async (context) => {
  requiresProgram(context, 'setfattr')
  const layers = await stack([file('d/x', '1')], [dir('d/')])
  programNativeFs.setxattr(join(layers[1] ?? '', 'd'), 'user.overlay.opaque', Buffer.from('y'))
  expect(text(layers, '/d/x')).toBe('1')
  expect(readFileFromLayers(layers, '/d/x', { native: programNativeFs })).toBeUndefined()
})

test('a layer that is not there is an error, not an empty layer', () => {
  const missing = join(temporaryDirectory(), 'missing')
  expect(() => readFileFromLayers([missing], '/a')).toThrow(
    expect.objectContaining({ code: 'ERR_ROOTFS_READ' }),
  )
})

test('a file system without extended attributes has no opaque directories', async () => {
  const layers = await stack([file('d/x', '1')])
  const getxattr = () => {
    throw Object.assign(new Error('ENOTSUP: operation not supported'), { code: 'ENOTSUP' })
  }
  const native = { ...whiteoutNativeFs, getxattr }
  expect(readFileFromLayers(layers, '/d/x', { native })?.toString()).toBe('1')
})
