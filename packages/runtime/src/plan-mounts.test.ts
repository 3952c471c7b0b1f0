import { expect, test } from 'vitest'
import { planMounts } from './plan-mounts.ts'

test('binds are recursive and keep their flags', () => {
  const options = ['rbind', 'rprivate', 'ro', 'nosuid', 'nodev', 'noexec']
  expect(planMounts([{ destination: '/data', source: '/srv/data', options }])).toEqual([
    {
      type: 'bind',
      source: '/srv/data',
      destination: '/data',
      readonly: true,
      nosuid: true,
      nodev: true,
      noexec: true,
    },
  ])
})

test('tmpfs sizes and modes are read as in tmpfs(5)', () => {
  const options = ['size=1m', 'mode=1777']
  expect(planMounts([{ destination: '/tmp', type: 'tmpfs', options }])).toEqual([
    { type: 'tmpfs', destination: '/tmp', sizeBytes: 1024 * 1024, mode: 0o1777 },
  ])
})

test('both names of the cgroup file system mean cgroup v2', () => {
  for (const type of ['cgroup', 'cgroup2']) {
    const mounts = [{ destination: '/sys/fs/cgroup', type, options: ['ro'] }]
    expect(planMounts(mounts)).toEqual([
      { type: 'cgroup', destination: '/sys/fs/cgroup', readonly: true },
    ])
  }
})

test('the order of mounts is kept', () => {
  const mounts = ['/a', '/b', '/c'].map((destination) => ({ destination, type: 'tmpfs' }))
  expect(planMounts(mounts).map(({ destination }) => destination)).toEqual(['/a', '/b', '/c'])
})

test('a bind over /dev is no fresh /dev, so nothing is hidden in it', () => {
  const mounts = [{ destination: '/dev', source: '/dev', options: ['rbind'] }]
  expect(planMounts(mounts)).toEqual([{ type: 'bind', source: '/dev', destination: '/dev' }])
})

test('an overlay has its directories in options, lower ones top first and escaped', () => {
  const options = ['lowerdir=/top:/a\\:b', 'upperdir=/u', 'workdir=/w', 'userxattr', 'nodev']
  expect(planMounts([{ destination: '/x', type: 'overlay', source: 'overlay', options }])).toEqual([
    {
      type: 'overlay',
      destination: '/x',
      lowerDirs: ['/a:b', '/top'],
      upperDir: '/u',
      workDir: '/w',
      nodev: true,
    },
  ])
})

test.each([
  ['/mounts/0/options', { destination: '/x', type: 'overlay', options: ['lowerdir=/a'] }],
  ['/mounts/0/destination', { destination: 'relative', type: 'tmpfs' }],
  ['/mounts/0/source', { destination: '/x', source: 'relative', options: ['rbind'] }],
  ['/mounts/0/type', { destination: '/x', type: 'ext4', source: '/dev/sda' }],
  ['/mounts/0/type', { destination: '/dev/pts', type: 'devpts' }],
  ['/mounts/0/options/0', { destination: '/x', source: '/y', options: ['bind'] }],
  ['/mounts/0/options/1', { destination: '/x', source: '/y', options: ['rbind', 'rshared'] }],
  ['/mounts/0/options/0', { destination: '/x', type: 'tmpfs', options: ['nosymfollow'] }],
  ['/mounts/0/options', { destination: '/x', type: 'tmpfs', options: ['size=50%'] }],
])('what cannot be done as written is refused at %s', (pointer, mount) => {
  expect(() => planMounts([mount])).toThrow(
    expect.objectContaining({ code: 'ERR_RUNTIME_UNSUPPORTED', pointer }),
  )
})
