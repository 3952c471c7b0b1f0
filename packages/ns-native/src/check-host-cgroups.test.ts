import { expect, test } from 'vitest'
import { checkSpec } from './check-spec.ts'
import type { LaunchSpec, Mount } from './launch-spec.ts'

function spec(mounts: readonly Mount[], others: Partial<LaunchSpec> = {}): LaunchSpec {
  return {
    namespaces: ['mount', 'cgroup'],
    mounts,
    maskedPaths: [],
    readonlyPaths: [],
    process: {
      args: ['sh'],
      env: [],
      cwd: '/',
      uid: 0,
      gid: 0,
      additionalGids: [],
      umask: 0,
      capabilities: [],
      noNewPrivileges: true,
    },
    ...others,
  }
}

const bind = (source: string, destination = source, more: object = {}): Mount => {
  return { type: 'bind', source, destination, ...more }
}

test.each([
  ['/sys', '/sys/fs/cgroup'],
  ['/sys/', '/sys/fs/cgroup'],
  ['/sys/../sys/fs', '/sys/fs/cgroup'],
  ['/sys/fs/cgroup', '/sys/fs/cgroup'],
  ['/sys/fs/cgroup/unified', '/sys/fs/cgroup/unified'],
])('CVE-2023-25809: %s of the host is not bound writable', (source, shown) => {
  const destination = source.replace('/../sys', '')
  expect(() => checkSpec(spec([bind(source, destination)]))).toThrow(
    expect.objectContaining({
      code: 'ERR_NS_SPEC',
      pointer: '/mounts/0',
      message: expect.stringContaining(shown),
    }),
  )
  expect(() => checkSpec(spec([bind(source, '/elsewhere')]))).toThrow('/elsewhere')
})

test.each<[string, LaunchSpec]>([
  ['read-only', spec([bind('/sys', '/sys', { readonly: true })])],
  ['without what is mounted below', spec([bind('/sys', '/sys', { recursive: false })])],
  ['covered', spec([bind('/sys'), { type: 'tmpfs', destination: '/sys/fs/cgroup' }])],
  ['covered altogether', spec([bind('/sys'), { type: 'tmpfs', destination: '/sys' }])],
  ['masked', spec([bind('/sys')], { maskedPaths: ['/sys/fs/cgroup/'] })],
  ['made read-only', spec([bind('/sys')], { readonlyPaths: ['/sys'] })],
  ['meant', spec([bind('/sys', '/sys', { hostCgroups: true })])],
  ['another part', spec([bind('/sys/class'), bind('/system')])],
])('the host’s /sys may be bound %s', (_, allowed) => {
  expect(() => checkSpec(allowed)).not.toThrow()
})

test('what covers it has to come later', () => {
  const cover: Mount = { type: 'tmpfs', destination: '/sys/fs/cgroup' }
  expect(() => checkSpec(spec([cover, bind('/sys')]))).toThrow('cgroup')
})
