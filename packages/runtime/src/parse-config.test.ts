import { expect, test } from 'vitest'
import { exampleConfig } from './example-config.test.fixture.ts'
import { parseConfig } from './parse-config.ts'

test('a config survives being written and read', () => {
  const config = { ...exampleConfig(), annotations: { 'org.example.a': 'b' } }
  expect(parseConfig(JSON.stringify(config))).toEqual(config)
})

test('properties that the specification does not know are ignored, and null counts as absent', () => {
  const config = { ...exampleConfig(), somethingNew: { deep: true } }
  const text = JSON.stringify({ ...config, annotations: null, hooks: null })
  expect(parseConfig(text)).toEqual(exampleConfig())
})

test('the device rule of `runc spec` holds anyway and is accepted', () => {
  const { linux, ...config } = exampleConfig()
  const resources = { devices: [{ allow: false, access: 'rwm' }] }
  const text = (more: object) => JSON.stringify({ ...config, linux: { ...linux, ...more } })
  expect(parseConfig(text({ resources })).linux).toEqual({ ...linux, resources: {} })
  const permissive = { resources: { devices: [{ allow: true, access: 'rwm' }] } }
  expect(() => parseConfig(text(permissive))).toThrow(refused('/linux/resources/devices/0'))
})

test.each([
  ['/hooks', { hooks: { prestart: [{ path: '/bin/true' }] } }],
  ['/linux/sysctl', { linux: { sysctl: { 'net.ipv4.ip_forward': '1' } } }],
  ['/linux/devices', { linux: { devices: [{ path: '/dev/fuse', type: 'c' }] } }],
  ['/linux/mountLabel', { linux: { mountLabel: 'label' } }],
])('%s is refused because ignoring it would change the container', (pointer, change) => {
  expect(() => parseConfig(JSON.stringify({ ...exampleConfig(), ...change }))).toThrow(
    refused(pointer),
  )
})

test.each([
  ['commandLine', 'sh'],
  ['execCPUAffinity', { initial: '0' }],
])('process.%s is refused too', (name, value) => {
  const config = exampleConfig()
  const text = JSON.stringify({ ...config, process: { ...config.process, [name]: value } })
  expect(() => parseConfig(text)).toThrow(refused(`/process/${name}`))
})

test('limits, ranks, labels and clocks are read', () => {
  const { process, linux, ...config } = exampleConfig()
  const full = {
    ...config,
    domainname: 'example',
    process: {
      ...process,
      rlimits: [{ type: 'RLIMIT_NOFILE', soft: 1, hard: 2 ** 64 }],
      oomScoreAdj: -5,
      ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 3 },
      scheduler: { policy: 'SCHED_OTHER', nice: 4 },
      apparmorProfile: 'p',
      selinuxLabel: 'l',
    },
    linux: { ...linux, timeOffsets: { boottime: { secs: -1, nanosecs: 2 } } },
  }
  expect(parseConfig(JSON.stringify(full))).toEqual(full)
})

test.each([
  ['', '[]'],
  ['', 'not json'],
  ['/ociVersion', JSON.stringify({ ...exampleConfig(), ociVersion: '2.0.0' })],
  ['/root', JSON.stringify({ ...exampleConfig(), root: undefined })],
  ['/root/path', JSON.stringify({ ...exampleConfig(), root: { path: 'a\0b' } })],
  ['/process/args', withProcess({ args: [] })],
  ['/process/args/1', withProcess({ args: ['a', 1] })],
  ['/process/cwd', withProcess({ cwd: 'relative' })],
  ['/process/user/uid', withProcess({ user: { uid: -1, gid: 0 } })],
  ['/process/user/uid', withProcess({ user: { uid: '0', gid: 0 } })],
  ['/process/user/gid', withProcess({ user: { uid: 0, gid: 2 ** 32 } })],
  ['/mounts/0/destination', JSON.stringify({ ...exampleConfig(), mounts: [{}] })],
])('a config that is wrong at "%s" is refused with that pointer', (pointer, text) => {
  expect(() => parseConfig(text)).toThrow(
    expect.objectContaining({ code: 'ERR_RUNTIME_CONFIG', pointer }),
  )
})

function withProcess(change: object): string {
  const config = exampleConfig()
  return JSON.stringify({ ...config, process: { ...config.process, ...change } })
}

function refused(pointer: string): unknown {
  return expect.objectContaining({ code: 'ERR_RUNTIME_UNSUPPORTED', pointer })
}
