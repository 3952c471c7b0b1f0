import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { composeRoot } from './composed-root.ts'
import { mountPointsBelow } from './mount-table.ts'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cromwell-compose-'))
  for (const path of ['usr/bin', 'proc', 'var/lib/data', 'var/log']) {
    mkdirSync(join(directory, path), { recursive: true })
  }
  symlinkSync('usr/bin', join(directory, 'bin'))
  writeFileSync(join(directory, 'file'), '')
  writeFileSync(join(directory, 'var', 'note'), '')
})
afterEach(() => rmSync(directory, { recursive: true }))

test('what has mounts below it is taken apart, what has none becomes one overlay', () => {
  const root = composeRoot(directory, [join(directory, 'proc'), join(directory, 'var/lib/data')])
  expect(root.links).toEqual([{ path: '/bin', target: 'usr/bin' }])
  expect(root.overlays.sort()).toEqual(['/usr', '/var/log'])
  expect(root.files.sort()).toEqual(['/file', '/var/note'])
  expect(root.directories.map(({ path }) => path).sort()).toEqual([
    '/proc',
    '/usr',
    '/var',
    '/var/lib',
    '/var/lib/data',
    '/var/log',
  ])
})

test('a name that begins like a mount point is not below it', () => {
  const root = composeRoot(directory, [`${directory}/us`, `${directory}/usr2/x`])
  expect(root.overlays.sort()).toEqual(['/proc', '/usr', '/var'])
})

test('mount points are read from mountinfo, unescaped, without those above or beside', () => {
  const lines = ['/', '/a', '/a/b', '/ab/c', '/a/with\\040blank', '/a/\\303\\244']
  const mountinfo = lines.map((point) => `1 0 8:1 / ${point} rw - ext4 /dev/x rw`).join('\n')
  expect(mountPointsBelow('/a', mountinfo)).toEqual(['/a/b', '/a/with blank', '/a/ä'])
  expect(mountPointsBelow('/', mountinfo)).toHaveLength(5)
})
