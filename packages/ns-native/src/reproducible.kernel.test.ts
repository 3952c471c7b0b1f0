import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { requires, which } from '@cromwell/test-support'
import { expect, onTestFinished, test } from 'vitest'

const packageDirectory = fileURLToPath(new URL('..', import.meta.url))
const FILES = ['cromwell-init', '@cromwell+ns-native.node']

/** Builds a copy of the sources in a directory of this name. */
function build(name: string): Buffer[] {
  const directory = join(mkdtempSync(join(tmpdir(), 'cromwell-build-')), name)
  onTestFinished(() => rmSync(join(directory, '..'), { recursive: true }))
  mkdirSync(directory)
  for (const part of ['native', 'scripts', 'package.json']) {
    cpSync(join(packageDirectory, part), join(directory, part), { recursive: true })
  }
  symlinkSync(join(packageDirectory, 'node_modules'), join(directory, 'node_modules'))
  const { status, stderr } = spawnSync(process.execPath, ['scripts/build-native.mjs'], {
    cwd: directory,
    encoding: 'utf8',
  })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return FILES.map((file) =>
    readFileSync(join(directory, 'prebuilds', `linux-${process.arch}`, file)),
  )
}

test('two builds in different directories give the same bytes', (context) => {
  requires(context, 'cc', which('cc') !== undefined, 'there is no C compiler')
  const [first, second] = [build('one'), build('a-directory-with-a-longer-name')]
  FILES.forEach((_, index) => {
    expect(first[index]?.equals(second[index] ?? Buffer.alloc(0))).toBe(true)
  })
}, 120_000)
