import { expect, test } from 'vitest'
import { findMappedUser } from './mapped-user.ts'
import { findUser, parseId } from './user.ts'

const files: Record<string, string> = {
  '/etc/passwd': [
    'root:x:0:0:root:/root:/bin/sh',
    'www:x:33:33:www:/var/www:/bin/sh',
    '1234:x:55:55:a name of digits:/digits:/bin/sh',
    'bad:x:-1:0::/:',
    'hex:x:0x10:0::/:',
    '',
  ].join('\n'),
  '/etc/group': 'root:x:0:\nstaff:x:50:www,bob\nwww:x:33:\nwheel:x:10:root,www\n',
}
const find = (spec: string) => findUser(spec, (path) => files[path])

test.each([
  ['', { uid: 0, gid: 0, additionalGids: [10], home: '/root' }],
  ['root', { uid: 0, gid: 0, additionalGids: [10], home: '/root' }],
  ['www', { uid: 33, gid: 33, additionalGids: [50, 10], home: '/var/www' }],
  ['33', { uid: 33, gid: 33, additionalGids: [50, 10], home: '/var/www' }],
  ['www:staff', { uid: 33, gid: 50, additionalGids: [], home: '/var/www' }],
  ['www:7', { uid: 33, gid: 7, additionalGids: [], home: '/var/www' }],
  ['4711', { uid: 4711, gid: 0, additionalGids: [], home: '/' }],
  ['4711:4712', { uid: 4711, gid: 4712, additionalGids: [], home: '/' }],
  ['1234', { uid: 55, gid: 55, additionalGids: [], home: '/digits' }],
])('the user %j is found as docker finds it', (spec, expected) => {
  expect(find(spec)).toEqual(expected)
})

test.each(['nobody', 'www:nogroup', 'bad', 'hex', ':', ':0', 'www:', 'a:b:c'])(
  'the user %j is an error, never somebody else',
  (spec) => {
    expect(() => find(spec)).toThrow(expect.objectContaining({ code: 'ERR_ENGINE_USER' }))
  },
)

// CVE-2026-30892: an id that was parsed leniently became 0.
test.each([
  '-1',
  '+1',
  ' 1',
  '1 ',
  '0x0',
  '1e3',
  '0.0',
  '4294967295',
  '4294967296',
  '99999999999',
  '',
  'x',
])('CVE-2026-30892: %j is not an id', (text) => {
  expect(parseId(text)).toBeUndefined()
})

test('an image without passwd and group has numbers only', () => {
  const none = () => undefined
  expect(findUser('', none)).toEqual({ uid: 0, gid: 0, additionalGids: [], home: '/' })
  expect(findUser('5:6', none)).toMatchObject({ uid: 5, gid: 6 })
  expect(() => findUser('www', none)).toThrow(/no user "www" in \/etc\/passwd/)
})

test('a host with one id gives it to whichever user is wanted, without groups', () => {
  const one = [{ containerID: 0, hostID: 1000, size: 1 }]
  const single = { kind: 'single', uidMappings: one, gidMappings: one, key: 'single' } as const
  const read = (path: string) => files[path]
  expect(findMappedUser('', read, single)).toMatchObject({
    user: { uid: 0, additionalGids: [] },
    idMapping: single,
  })
  expect(findMappedUser('5:6', read, single)).toMatchObject({
    user: { uid: 5, gid: 6, additionalGids: [] },
    idMapping: {
      kind: 'single',
      uidMappings: [{ containerID: 5, hostID: 1000, size: 1 }],
      gidMappings: [{ containerID: 6, hostID: 1000, size: 1 }],
    },
  })
})

test('a user that the ranges do not reach is an error that says so', () => {
  const few = [{ containerID: 0, hostID: 1000, size: 10 }]
  const subid = { kind: 'subid', uidMappings: few, gidMappings: few, key: 'subid' } as const
  const read = (path: string) => files[path]
  expect(findMappedUser('5:6', read, subid).user).toMatchObject({ uid: 5, gid: 6 })
  expect(() => findMappedUser('50:6', read, subid)).toThrow(
    expect.objectContaining({ code: 'ERR_ENGINE_USER', hint: expect.stringContaining('subuid') }),
  )
})
