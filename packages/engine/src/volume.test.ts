import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { parseVolume } from './volume.ts'

const cwd = mkdtempSync(join(tmpdir(), 'cromwell-volume-'))
mkdirSync(join(cwd, 'site'))
afterAll(() => rmSync(cwd, { recursive: true }))

test.each([
  ['./site:/www', { source: `${cwd}/site`, destination: '/www', readonly: false }],
  ['./site:/www:ro', { source: `${cwd}/site`, destination: '/www', readonly: true }],
  ['./site:/www:rw,z', { source: `${cwd}/site`, destination: '/www', readonly: false }],
  ['.:/www/../x//y/', { source: cwd, destination: '/x/y', readonly: false }],
  ['/etc/../etc:/e', { source: '/etc', destination: '/e', readonly: false }],
  ['/proc/self/cwd:/x', { source: process.cwd(), destination: '/x', readonly: false }],
  ['/dev/null:/dev/extra', { source: '/dev/null', destination: '/dev/extra', readonly: false }],
])('%s is understood', (text, expected) => {
  expect(parseVolume(text, cwd)).toEqual(expected)
})

test.each([
  ['data:/x', /named volumes such as data do not exist yet/],
  ['/x', /form source:destination/],
  ['a:b:c:d', /form source:destination/],
  [':/x', /source is empty/],
  ['~/data:/x', /named volumes such as ~\/data/],
  ['./none:/x', /none does not exist/],
  ['/dev/null/x:/x', /x cannot be used: not a directory$/],
  ['.:relative', /not an absolute path/],
  ['.:/x:rx', /option "rx" is not supported/],
  ['.:/x:ro,rw', /both ro and rw/],
  ['.:/', /nothing can be mounted over \//],
  ['.:/proc', /over \/proc/],
  ['.:/proc/sys', /over \/proc\/sys/],
  ['.:/x/../proc/self', /over \/proc\/self/],
  ['.:/sys', /over \/sys/],
  ['.:/dev/', /over \/dev/],
])('%s is refused with the reason', (text, reason) => {
  expect(() => parseVolume(text, cwd)).toThrow(
    expect.objectContaining({
      code: 'ERR_ENGINE_VOLUME',
      message: expect.stringMatching(reason),
    }),
  )
})
