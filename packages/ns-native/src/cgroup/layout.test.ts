import { expect, test } from 'vitest'
import { parseGroups, parseLayout } from './layout.ts'

const MOUNTS_V2 =
  '24 23 0:22 / /proc rw - proc proc rw\n' +
  '31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n'
const MOUNTS_HYBRID = `31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
`

test('version 2: the own group is below the mount point', () => {
  const layout = parseLayout(MOUNTS_V2, '0::/user.slice/session-2.scope\n')
  expect(layout.v2).toEqual({
    mountPoint: '/sys/fs/cgroup',
    own: '/sys/fs/cgroup/user.slice/session-2.scope',
    nsdelegate: true,
  })
  expect(layout.v1.size).toBe(0)
})

test('hybrid: controllers of version 1 beside a version 2 without any', () => {
  const layout = parseLayout(
    MOUNTS_HYBRID,
    '9:name=systemd:/\n4:memory:/a/b\n1:cpu,cpuacct:/\n0::/\n',
  )
  expect(layout.v2).toMatchObject({ own: '/sys/fs/cgroup/unified', nsdelegate: false })
  expect([...layout.v1].map(([name, { own }]) => [name, own])).toEqual([
    ['cpu', '/sys/fs/cgroup/cpu,cpuacct'],
    ['cpuacct', '/sys/fs/cgroup/cpu,cpuacct'],
    ['memory', '/sys/fs/cgroup/memory/a/b'],
  ])
})

test('a mount that shows a part of the hierarchy: what is outside of it is not ours to use', () => {
  const mounts = (root: string) => `31 23 0:28 ${root} /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n`
  expect(parseLayout(mounts('/docker/1'), '0::/docker/1/x\n').v2?.own).toBe('/sys/fs/cgroup/x')
  expect(parseLayout(mounts('/docker/1'), '0::/docker/1\n').v2?.own).toBe('/sys/fs/cgroup')
  expect(parseLayout(mounts('/docker/1'), '0::/docker/12\n').v2).toBeUndefined()
  expect(parseLayout(mounts('/'), '0::/../other\n').v2).toBeUndefined()
})

test('blanks in a path are written in octal', () => {
  const mounts = '31 23 0:28 / /a\\040b rw - cgroup2 cgroup2 rw\n'
  expect(parseLayout(mounts, '0::/\n').v2?.mountPoint).toBe('/a b')
})

test('a path may have colons', () => {
  expect([...parseGroups('0::/a:b:c\n4:memory:/\n')]).toEqual([
    ['', '/a:b:c'],
    ['memory', '/'],
  ])
})
