import { expect, test } from 'vitest'
import { planCgroup } from './cgroups-path.ts'

test('an absolute path is below the mount point, a name is left to the launch', () => {
  expect(planCgroup('/engine/one')).toEqual({ parent: '/sys/fs/cgroup/engine', name: 'one' })
  expect(planCgroup('/engine//app.slice/./one/')).toEqual({
    parent: '/sys/fs/cgroup/engine/app.slice',
    name: 'one',
  })
  expect(planCgroup('/one')).toEqual({ parent: '/sys/fs/cgroup', name: 'one' })
  expect(planCgroup('one')).toEqual({ name: 'one' })
  expect([planCgroup(undefined), planCgroup('')]).toEqual([undefined, undefined])
})

test.each([
  ['/', 'ERR_RUNTIME_CONFIG'],
  ['/a/../b', 'ERR_RUNTIME_CONFIG'],
  ['../b', 'ERR_RUNTIME_CONFIG'],
  ['/a/cgroup.procs', 'ERR_RUNTIME_CONFIG'],
  ['/a/b c', 'ERR_RUNTIME_CONFIG'],
  ['a/b', 'ERR_RUNTIME_UNSUPPORTED'],
  ['user.slice:libpod:abc', 'ERR_RUNTIME_UNSUPPORTED'],
  [':libpod:abc', 'ERR_RUNTIME_UNSUPPORTED'],
])('%s is refused, and not taken for something else', (path, code) => {
  const refused = expect.objectContaining({ code, pointer: '/linux/cgroupsPath' })
  expect(() => planCgroup(path)).toThrow(refused)
})
