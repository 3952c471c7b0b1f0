import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { removeTree } from './remove-tree.ts'
import { isRoot, temporaryDirectory } from './trees.test.fixture.ts'

test('a tree is removed with directories that nobody may enter', () => {
  const base = temporaryDirectory()
  const tree = join(base, 'tree')
  mkdirSync(join(tree, 'a/b'), { recursive: true })
  writeFileSync(join(tree, 'a/b/c'), '')
  for (const path of ['a/b', 'a', '.']) chmodSync(join(tree, path), 0)
  removeTree(tree)
  expect(readdirSync(base)).toEqual([])
})

test('symlinks are removed, what they point to is not', () => {
  const base = temporaryDirectory()
  mkdirSync(join(base, 'tree'))
  writeFileSync(join(base, 'kept'), 'x')
  symlinkSync(base, join(base, 'tree/directory'))
  symlinkSync('../kept', join(base, 'tree/file'))
  removeTree(join(base, 'tree'))
  expect(readFileSync(join(base, 'kept'), 'utf8')).toBe('x')
  symlinkSync('kept', join(base, 'link'))
  removeTree(join(base, 'link'))
  expect(readdirSync(base)).toEqual(['kept'])
})

test('a path that is not there is fine', () => {
  expect(() => removeTree(join(temporaryDirectory(), 'nothing/at/all'))).not.toThrow()
})

test('a tree deeper than PATH_MAX and than the limit of descriptors is removed', () => {
  const base = temporaryDirectory()
  const home = process.cwd()
  try {
    process.chdir(base)
    for (let depth = 0; depth < 1500; depth++) {
      mkdirSync('directory')
      process.chdir('directory')
    }
    writeFileSync('file', '')
  } finally {
    process.chdir(home)
  }
  removeTree(join(base, 'directory'))
  expect(existsSync(join(base, 'directory'))).toBe(false)
  expect(readdirSync(base)).toEqual([])
})

test('a directory that may not be changed is a typed error', (context) => {
  if (isRoot) context.skip('needs plain user: root may change everything')
  const base = temporaryDirectory()
  mkdirSync(join(base, 'tree'))
  chmodSync(base, 0o500)
  try {
    expect(() => removeTree(join(base, 'tree'))).toThrow(
      expect.objectContaining({ code: 'ERR_ROOTFS_WRITE' }),
    )
  } finally {
    chmodSync(base, 0o700)
  }
})
