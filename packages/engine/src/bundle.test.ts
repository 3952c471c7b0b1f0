import type { IdMappingPlan } from '@cromwell/ns-native'
import { parseConfig, planLaunch } from '@cromwell/runtime'
import { expect, test } from 'vitest'
import { type BundleOptions, createBundle } from './bundle.ts'

const ranges = [{ containerID: 0, hostID: 1000, size: 1 }]
const single: IdMappingPlan = {
  kind: 'single',
  uidMappings: ranges,
  gidMappings: ranges,
  key: 'single',
}
const options: BundleOptions = {
  args: ['sh'],
  env: ['A=1'],
  cwd: '/',
  user: { uid: 0, gid: 0, additionalGids: [], home: '/root' },
  terminal: undefined,
  hostname: 'box',
  network: 'host',
  readOnly: false,
  rootMounts: [],
  etcFiles: [{ source: '/c/etc/hosts', destination: '/etc/hosts' }],
  volumes: [],
  idMapping: single,
  cgroup2: true,
  annotations: { 'org.example.a': 'b' },
}

test('a bundle is one that the runtime understands in full', () => {
  for (const network of ['host', 'none'] as const) {
    for (const readOnly of [true, false]) {
      const text = JSON.stringify(createBundle({ ...options, network, readOnly }))
      const context = { bundle: '/c', idMapping: single }
      expect(() => planLaunch(parseConfig(text), context)).not.toThrow()
    }
  }
})

test("on the host's network there is no network namespace, and /sys is the host's, read-only", () => {
  const bundle = createBundle(options)
  expect(namespaces(bundle)).not.toContain('network')
  const sys = findMount(bundle, '/sys')
  expect(sys).toMatchObject({ type: 'bind', source: '/sys' })
  expect(sys?.options).toEqual(expect.arrayContaining(['rbind', 'ro', 'nosuid', 'nodev', 'noexec']))
})

// CVE-2023-25809: with the host's /sys came a writable /sys/fs/cgroup.
test("CVE-2023-25809: the host's cgroup tree is always covered, after /sys", () => {
  for (const cgroup2 of [true, false]) {
    const bundle = createBundle({ ...options, cgroup2 })
    const places = bundle.mounts?.map(({ destination }) => destination) ?? []
    expect(places.indexOf('/sys/fs/cgroup')).toBeGreaterThan(places.indexOf('/sys'))
    const cover = findMount(bundle, '/sys/fs/cgroup')
    expect(cover?.type).toBe(cgroup2 ? 'cgroup' : 'tmpfs')
    expect(cover?.options).toContain('ro')
    expect(namespaces(bundle)).toContain('cgroup')
  }
})

test('without a network there is a namespace for it and a sysfs that goes with it', () => {
  const bundle = createBundle({ ...options, network: 'none' })
  expect(namespaces(bundle)).toContain('network')
  expect(findMount(bundle, '/sys')).toMatchObject({ type: 'sysfs' })
})

test('no_new_privs is set where it costs nothing: with a single id', () => {
  expect(createBundle(options).process.noNewPrivileges).toBe(true)
  const identity: IdMappingPlan = { ...single, kind: 'identity' }
  expect(createBundle({ ...options, idMapping: identity }).process.noNewPrivileges).toBe(false)
})

test('root with a single id is played as one with all, nobody else is', () => {
  const played = (changes: Partial<BundleOptions>) =>
    createBundle({ ...options, ...changes }).annotations?.['org.cromwell.root-emulation']
  const root = { uid: 0, gid: 0, additionalGids: [], home: '/root' }
  expect(played({ user: root })).toBe('true')
  expect(played({ user: root, idMapping: { ...single, kind: 'subid' } })).toBeUndefined()
  expect(played({ user: { ...root, uid: 7 } })).toBeUndefined()
})

test('a user other than root has no capability in effect', () => {
  const user = { uid: 7, gid: 7, additionalGids: [8], home: '/' }
  const { capabilities, user: written } = createBundle({ ...options, user }).process
  expect(capabilities?.effective).toEqual([])
  expect(capabilities?.permitted).toEqual([])
  expect(capabilities?.bounding).toContain('CAP_CHOWN')
  expect(written).toMatchObject({ uid: 7, gid: 7, additionalGids: [8] })
})

test('a read-only root leaves places to write to', () => {
  const bundle = createBundle({ ...options, readOnly: true })
  expect(bundle.root.readonly).toBe(true)
  for (const path of ['/run', '/tmp', '/var/tmp']) {
    expect(findMount(bundle, path)?.type).toBe('tmpfs')
  }
})

test('volumes come where their depth puts them, and win over our own files', () => {
  const volume = (destination: string) => ({ source: '/s', destination, readonly: true })
  const volumes = [volume('/a/b/c'), volume('/a'), volume('/etc'), volume('/etc/hosts')]
  const mounts = createBundle({ ...options, volumes }).mounts ?? []
  const places = mounts.map(({ destination }) => destination).slice(-4)
  expect(places).toEqual(['/a', '/etc', '/etc/hosts', '/a/b/c'])
  expect(mounts.find(({ destination }) => destination === '/etc/hosts')?.source).toBe('/s')
})

function findMount(bundle: ReturnType<typeof createBundle>, path: string) {
  return bundle.mounts?.find(({ destination }) => destination === path)
}

function namespaces(bundle: ReturnType<typeof createBundle>): string[] {
  return bundle.linux?.namespaces?.map(({ type }) => type) ?? []
}
