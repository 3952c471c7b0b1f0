import { expect, it } from 'vitest'
import { parseVolume } from './volume-flag.ts'

const base = { currentDirectory: () => '/work/dir', home: '/home/u' }

it.each([
  ['/a:/b', { source: '/a', destination: '/b', readOnly: false }],
  ['/a:/b:ro', { source: '/a', destination: '/b', readOnly: true }],
  ['/a:/b:rw', { source: '/a', destination: '/b', readOnly: false }],
  ['.:/src', { source: '/work/dir', destination: '/src', readOnly: false }],
  ['./x:/src', { source: '/work/dir/x', destination: '/src', readOnly: false }],
  ['../x:/src', { source: '/work/x', destination: '/src', readOnly: false }],
  ['~/x:/src', { source: '/home/u/x', destination: '/src', readOnly: false }],
])('reads %s', (text, volume) => {
  expect(parseVolume(text, base)).toEqual(volume)
})

it.each([
  ['/a', "invalid volume '/a'"],
  [':/b', "invalid volume ':/b'"],
  ['/a:', "invalid volume '/a:'"],
  ['/a:b', "invalid volume '/a:b': the path in the container must be absolute"],
  ['/a:/b:z', "invalid volume '/a:/b:z': unknown mode 'z'"],
  ['/a:/b:ro:x', "invalid volume '/a:/b:ro:x'"],
  ['data:/b', "invalid volume 'data:/b': there are no named volumes"],
])('refuses %s', (text, message) => {
  expect(() => parseVolume(text, base)).toThrow(
    expect.objectContaining({ code: 'ERR_CLI_USAGE', message }),
  )
})
