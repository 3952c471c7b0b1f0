import { lstatSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from './container.test.fixture.ts'
import { nativeFs } from './native-fs.ts'

test('mknod makes what its mode says', () => {
  const path = join(temporaryDirectory(), 'fifo')
  nativeFs.mknod(path, 0o010600, 0)
  expect(lstatSync(path).isFIFO()).toBe(true)
})

test('a whiteout can be made by any user', () => {
  const path = join(temporaryDirectory(), 'whiteout')
  nativeFs.mknod(Buffer.from(path), 0o020000, 0)
  expect(lstatSync(path)).toMatchObject({ rdev: 0 })
  expect(lstatSync(path).isCharacterDevice()).toBe(true)
})

test('extended attributes are written and read, bytes and all', () => {
  const path = join(temporaryDirectory(), 'file')
  writeFileSync(path, '')
  expect(nativeFs.getxattr(path, 'user.test')).toBeUndefined()
  for (const value of [Buffer.of(0, 255, 10), Buffer.alloc(0), Buffer.from('y')]) {
    nativeFs.setxattr(path, 'user.test', value)
    expect(nativeFs.getxattr(path, 'user.test')).toEqual(value)
  }
})

test('links are not followed', () => {
  const directory = temporaryDirectory()
  const [target, link] = [join(directory, 'target'), join(directory, 'link')]
  writeFileSync(target, '')
  symlinkSync(target, link)
  expect(() => nativeFs.setxattr(link, 'user.test', Buffer.of(1))).toThrow()
  expect(nativeFs.getxattr(target, 'user.test')).toBeUndefined()
  expect(readlinkSync(link)).toBe(target)
})

test('errors are those of node:fs', () => {
  const path = join(temporaryDirectory(), 'missing')
  expect(() => nativeFs.setxattr(path, 'user.test', Buffer.of(1))).toThrow(
    expect.objectContaining({ code: 'ENOENT', errno: -2, syscall: 'lsetxattr', path }),
  )
  expect(() => nativeFs.getxattr(path, 'user.test')).toThrow(
    expect.objectContaining({ code: 'ENOENT' }),
  )
  expect(() => nativeFs.mknod(join(path, 'x'), 0o010600, 0)).toThrow(
    expect.objectContaining({ code: 'ENOENT' }),
  )
  expect(() => nativeFs.syncfs(path)).toThrow(expect.objectContaining({ code: 'ENOENT' }))
  expect(() => nativeFs.syncfs('a\0b')).toThrow(TypeError)
})

test('syncfs syncs', () => {
  nativeFs.syncfs(temporaryDirectory())
})
