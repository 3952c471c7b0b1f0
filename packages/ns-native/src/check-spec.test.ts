import { expect, test } from 'vitest'
import { checkSpec } from './check-spec.ts'
import type { LaunchSpec } from './launch-spec.ts'

const spec: LaunchSpec = {
  namespaces: ['user', 'mount', 'pid', 'uts', 'ipc'],
  idMapping: {
    kind: 'single',
    uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
    gidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
    key: 'single',
  },
  hostname: 'box',
  root: { path: '/r', overlay: { lowerDirs: ['/l'], upperDir: '/u', workDir: '/w' } },
  mounts: [
    { type: 'proc', destination: '/proc' },
    { type: 'bind', source: '/a', destination: '/b' },
    { type: 'tmpfs', destination: '/t', sizeBytes: 1, mode: 0o700 },
    { type: 'dev', destination: '/dev' },
  ],
  maskedPaths: ['/proc/keys'],
  readonlyPaths: ['/proc/sys'],
  process: {
    args: ['sh', ''],
    env: ['A=1', 'B='],
    cwd: '/',
    uid: 0,
    gid: 0,
    additionalGids: [1],
    umask: 0o22,
    terminal: { columns: 80, rows: 24 },
    capabilities: ['CAP_CHOWN'],
    noNewPrivileges: true,
    seccomp: new Uint8Array(8),
  },
  monitor: { logPath: '/log', exitPath: '/exit', removeOnExit: ['/x'] },
}

test('a complete spec is fine', () => {
  expect(() => checkSpec(spec)).not.toThrow()
})

/** The spec with the value at a JSON pointer replaced. */
function withValue(pointer: string, value: unknown): LaunchSpec {
  const copy = structuredClone(spec)
  const names = pointer.slice(1).split('/')
  const last = names.pop() ?? ''
  // walked by a pointer into a value of known shape
  const parent = names.reduce(
    (node, name) => node[name] as Record<string, unknown>,
    copy as never as Record<string, unknown>,
  )
  if (value === undefined) delete parent[last]
  else parent[last] = value
  return copy
}

const rlimit = (soft: unknown, hard: unknown) => ({ type: 'RLIMIT_CORE', soft, hard })

test.each<[string, unknown, string?]>([
  ['/namespaces/0', 'clock'],
  ['/namespaces/1', 'user', '/namespaces'],
  ['/idMapping', undefined],
  ['/idMapping/kind', 'magic'],
  ['/idMapping/kind', 'subid', '/idMapping/newuidmap'],
  ['/idMapping/uidMappings', []],
  ['/idMapping/gidMappings/0/size', 0],
  ['/idMapping/gidMappings/0/hostID', -1],
  ['/idMapping/gidMappings/0/hostID', 2 ** 32],
  ['/hostname', 'x'.repeat(65)],
  ['/hostname', ''],
  ['/hostname', 'a\0b'],
  ['/root/path', 'relative'],
  ['/root/path', `/${'x'.repeat(4095)}`],
  ['/root/overlay/lowerDirs', []],
  ['/root/overlay/lowerDirs/0', ''],
  ['/root/overlay/upperDir', undefined],
  ['/mounts/0/type', 'nfs'],
  ['/mounts/1/source', 'relative'],
  ['/mounts/1/destination', '/x\0'],
  ['/mounts/2/sizeBytes', 1.5],
  ['/mounts/2/mode', 0o10000],
  ['/mounts/3/destination', '/device'],
  ['/maskedPaths/0', 'x'],
  ['/readonlyPaths/0', 'x'],
  ['/process/args', []],
  ['/process/args/1', 'a\0b'],
  ['/process/env/0', 'novalue'],
  ['/process/env/1', '=x'],
  ['/process/cwd', 'here'],
  ['/process/uid', 0xffffffff],
  ['/process/gid', Number.NaN],
  ['/process/additionalGids/0', -1],
  ['/process/umask', 0o1000],
  ['/process/terminal/rows', 65536],
  ['/process/capabilities/0', 'CAP_MAGIC'],
  ['/process/capabilities/0', 'toString'],
  ['/process/seccomp', new Uint8Array(7)],
  ['/process/seccomp', new Uint8Array(0)],
  ['/process/seccomp', new Uint8Array(8 * 4097)],
  ['/joinNamespaces', { network: 'proc/1/ns/net' }, '/joinNamespaces/network'],
  ['/joinNamespaces', { user: '/proc/1/ns/user' }, '/joinNamespaces/user'],
  ['/joinNamespaces', { clock: '/x' }, '/joinNamespaces/clock'],
  ['/timeOffsets', { monotonic: { secs: 1 } }],
  ['/domainname', ''],
  ['/maxUserNamespaces', -1],
  ['/process/ambientCapabilities', ['CAP_KILL'], '/process/ambientCapabilities/0'],
  ['/process/rlimits', [{ type: 'NOFILE', soft: 1, hard: 1 }], '/process/rlimits/0/type'],
  ['/process/rlimits', [rlimit(2, 1)], '/process/rlimits/0/soft'],
  ['/process/rlimits', [rlimit('infinity', 1)], '/process/rlimits/0/soft'],
  ['/process/rlimits', [rlimit(1, 1), rlimit(1, 1)], '/process/rlimits'],
  ['/process/oomScoreAdj', 1001],
  ['/process/nice', -21],
  ['/process/ioPriority', { class: 'idle', priority: 0 }, '/process/ioPriority/class'],
  ['/process/affinity', []],
  ['/process/affinity', [-1], '/process/affinity/0'],
  ['/process/apparmorProfile', ''],
  ['/process/landlock', { fs: [{ path: 'x', access: ['read'] }] }, '/process/landlock/fs/0/path'],
  ['/process/landlock', { fs: [{ path: '/', access: ['rw'] }] }, '/process/landlock/fs/0/access/0'],
  ['/process/landlock', { net: { bindTcp: [65536] } }, '/process/landlock/net/bindTcp/0'],
  ['/process/landlock', { scope: ['tcp'] }, '/process/landlock/scope/0'],
  ['/process/landlock', { degraded: ['toString'] }, '/process/landlock/degraded/0'],
  ['/monitor/logPath', 'log'],
  ['/monitor/exitPath', 'exit'],
  ['/monitor/removeOnExit/0', '/'],
  ['/monitor/removeOnExit/0', '//'],
  ['/monitor/removeOnExit/0', '/a/../..'],
])('%s: %j is refused, and told by its JSON pointer', (pointer, value, told = pointer) => {
  expect(() => checkSpec(withValue(pointer, value))).toThrow(
    expect.objectContaining({ code: 'ERR_NS_SPEC', pointer: told }),
  )
})

test('what needs a namespace is refused without it', () => {
  const without = (name: string) => spec.namespaces.filter((type) => type !== name)
  const told = (namespaces: typeof spec.namespaces) => {
    try {
      checkSpec({ ...spec, namespaces })
    } catch (error) {
      return error
    }
    return undefined
  }
  expect(told(without('uts'))).toMatchObject({ pointer: '/hostname' })
  expect(told(without('mount'))).toMatchObject({ pointer: '/mounts' })
  expect(told(without('user'))).toMatchObject({ pointer: '/idMapping' })
})

test('joined namespaces, clocks, limits and Landlock rules are fine', () => {
  const full: LaunchSpec = {
    ...spec,
    namespaces: [...spec.namespaces, 'time'],
    joinNamespaces: { network: '/proc/1/ns/net' },
    timeOffsets: { monotonic: { secs: -5 }, boottime: { secs: 5, nanosecs: 999_999_999 } },
    domainname: 'example',
    maxUserNamespaces: 0,
    process: {
      ...spec.process,
      ambientCapabilities: ['CAP_CHOWN'],
      rlimits: [
        { type: 'RLIMIT_NOFILE', soft: 10, hard: 'infinity' },
        { type: 'RLIMIT_CORE', soft: 'infinity', hard: 'infinity' },
      ],
      oomScoreAdj: -1000,
      nice: 19,
      ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 7 },
      affinity: [0, 1],
      apparmorProfile: 'p',
      selinuxLabel: 'a:b:c:d',
      landlock: { fs: [{ path: '/', access: ['read', 'ioctl_dev'] }], degraded: ['truncate'] },
    },
  }
  expect(() => checkSpec(full)).not.toThrow()
  const privileged = { ...full, process: { ...full.process, noNewPrivileges: false } }
  expect(() => checkSpec(privileged)).toThrow('/process/landlock: needs noNewPrivileges')
})
