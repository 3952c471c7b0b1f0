import type { IdMappingPlan } from '@cromwell/ns-native'
import { expect, test } from 'vitest'
import { exampleConfig } from './example-config.test.fixture.ts'
import { type LaunchContext, planLaunch } from './plan-launch.ts'
import type { RuntimeConfig } from './runtime-spec.ts'

const idMapping: IdMappingPlan = {
  kind: 'single',
  uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
  gidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
  key: 'single',
}
const context: LaunchContext = { bundle: '/bundle', idMapping }

test('a bundle becomes a launch spec with nothing added and nothing lost', () => {
  expect(planLaunch(exampleConfig(), context)).toEqual({
    namespaces: ['user', 'mount', 'pid', 'ipc', 'uts'],
    idMapping,
    hostname: 'box',
    root: { path: '/bundle/rootfs' },
    mounts: [
      { type: 'proc', destination: '/proc', nosuid: true, noexec: true, nodev: true },
      { type: 'dev', destination: '/dev', shmSizeBytes: 64 * 1024 * 1024 },
    ],
    maskedPaths: ['/proc/kcore'],
    readonlyPaths: ['/proc/sys'],
    process: {
      args: ['/bin/sh', '-c', 'true'],
      env: ['PATH=/bin'],
      cwd: '/',
      uid: 0,
      gid: 0,
      additionalGids: [1, 2],
      umask: 0o022,
      capabilities: ['CAP_CHOWN', 'CAP_KILL'],
      noNewPrivileges: false,
    },
  })
})

test('an overlay, a filter and what the monitor does come from the context', () => {
  const overlay = { lowerDirs: ['/l'], upperDir: '/u', workDir: '/w', volatile: true }
  const seccomp = new Uint8Array(8)
  const monitor = { exitPath: '/c/exit' }
  const spec = planLaunch(exampleConfig(), { ...context, overlay, seccomp, monitor })
  expect(spec.root).toEqual({ path: '/bundle/rootfs', overlay })
  expect(spec.process.seccomp).toBe(seccomp)
  expect(spec.monitor).toBe(monitor)
})

test('a root of one id is played only where the bundle asks for it', () => {
  const played = (rootEmulation?: boolean) =>
    planLaunch(exampleConfig(), {
      ...context,
      ...(rootEmulation === undefined ? {} : { rootEmulation }),
    }).process.rootEmulation
  expect([played(true), played(false), played()]).toEqual([true, undefined, undefined])
})

test('a read-only root and an absolute root path are kept', () => {
  const config = vary((draft) => {
    draft.root = { path: '/srv/root', readonly: true }
  })
  expect(planLaunch(config, context).root).toEqual({ path: '/srv/root', readonly: true })
})

test('a terminal takes its size from consoleSize, and is 80 by 24 without', () => {
  const config = vary((draft) => {
    draft.process.terminal = true
  })
  expect(planLaunch(config, context).process.terminal).toEqual({ columns: 80, rows: 24 })
  config.process.consoleSize = { width: 132, height: 43 }
  expect(planLaunch(config, context).process.terminal).toEqual({ columns: 132, rows: 43 })
})

test('a user other than 0 keeps the bounding set and has no capability in effect', () => {
  const config = vary(({ process }) => {
    process.user = { uid: 1000, gid: 100, umask: 0o077 }
    process.capabilities = { bounding: ['CAP_KILL'] }
  })
  const { process } = planLaunch(config, context)
  expect(process).toMatchObject({ uid: 1000, gid: 100, umask: 0o077, capabilities: ['CAP_KILL'] })
})

test('without capabilities in the config there are none at all', () => {
  const config = vary(({ process }) => {
    delete process.capabilities
  })
  expect(planLaunch(config, context).process.capabilities).toEqual([])
})

test.each<[string, (draft: RuntimeConfig) => void]>([
  [
    '/linux/namespaces/1/path',
    (c) => linux(c).namespaces?.splice(1, 1, { type: 'mount', path: '/x' }),
  ],
  ['/linux/namespaces/5/type', (c) => linux(c).namespaces?.push({ type: 'clock' })],
  ['/process/scheduler/policy', (c) => (c.process.scheduler = { policy: 'SCHED_FIFO' })],
  ['/linux/namespaces', (c) => linux(c).namespaces?.splice(1, 1)],
  ['/linux/namespaces', (c) => linux(c).namespaces?.splice(2, 1)],
  ['/linux/rootfsPropagation', (c) => (linux(c).rootfsPropagation = 'rshared')],
  [
    '/process/capabilities/ambient',
    (c) => (c.process.capabilities = { ambient: ['CAP_KILL'], inheritable: ['CAP_KILL'] }),
  ],
  [
    '/process/capabilities/inheritable',
    (c) => (c.process.capabilities = { bounding: ['CAP_KILL'], ambient: ['CAP_KILL'] }),
  ],
  ['/process/capabilities/inheritable', (c) => (c.process.capabilities = { inheritable: ['X'] })],
  ['/process/capabilities/effective', (c) => (c.process.capabilities = { bounding: ['CAP_KILL'] })],
  ['/process/capabilities/effective', (c) => (c.process.user.uid = 7)],
])('what would weaken or change the container is refused at %s', (pointer, change) => {
  expect(() => planLaunch(vary(change), context)).toThrow(
    expect.objectContaining({ code: 'ERR_RUNTIME_UNSUPPORTED', pointer }),
  )
})

test('namespaces with a path are joined, the others created', () => {
  const config = vary((draft) => {
    linux(draft).namespaces = [
      { type: 'user', path: '/proc/7/ns/user' },
      { type: 'network', path: '/run/netns/x' },
      { type: 'mount' },
      { type: 'pid', path: '' },
      { type: 'time' },
    ]
    linux(draft).timeOffsets = { boottime: { secs: 5 } }
  })
  expect(planLaunch(config, { bundle: '/bundle' })).toMatchObject({
    namespaces: ['mount', 'pid', 'time'],
    joinNamespaces: { user: '/proc/7/ns/user', network: '/run/netns/x' },
    timeOffsets: { boottime: { secs: 5 } },
  })
})

test('limits, ranks, labels and ambient capabilities are those of the config', () => {
  const config = vary((draft) => {
    draft.domainname = 'example'
    Object.assign(draft.process, {
      user: { uid: 7, gid: 7 },
      capabilities: Object.fromEntries(
        ['bounding', 'effective', 'permitted', 'inheritable', 'ambient'].map((set) => [
          set,
          ['CAP_KILL'],
        ]),
      ),
      rlimits: [{ type: 'RLIMIT_CORE', soft: 0, hard: 2 ** 64 }],
      oomScoreAdj: 100,
      ioPriority: { class: 'IOPRIO_CLASS_IDLE', priority: 0 },
      scheduler: { policy: 'SCHED_OTHER', nice: 5 },
      apparmorProfile: 'p',
      selinuxLabel: '',
    })
  })
  const { domainname, process } = planLaunch(config, context)
  expect(domainname).toBe('example')
  expect(process).toMatchObject({
    capabilities: ['CAP_KILL'],
    ambientCapabilities: ['CAP_KILL'],
    rlimits: [{ type: 'RLIMIT_CORE', soft: 0, hard: 'infinity' }],
    oomScoreAdj: 100,
    ioPriority: { class: 'IOPRIO_CLASS_IDLE', priority: 0 },
    nice: 5,
    apparmorProfile: 'p',
  })
  expect(process).not.toHaveProperty('selinuxLabel')
})

test('an id mapping other than the one that will be written is refused', () => {
  const config = vary((draft) => {
    linux(draft).uidMappings = [{ containerID: 0, hostID: 0, size: 1 }]
  })
  const refused = expect.objectContaining({ code: 'ERR_RUNTIME_CONFIG' })
  expect(() => planLaunch(config, context)).toThrow(refused)
  expect(() => planLaunch(exampleConfig(), { bundle: '/bundle' })).toThrow(refused)
})

test('without a user namespace no id mapping is written', () => {
  const config = vary((draft) => linux(draft).namespaces?.shift())
  expect(planLaunch(config, context)).not.toHaveProperty('idMapping')
})

function vary(change: (draft: RuntimeConfig) => void): RuntimeConfig {
  const config = exampleConfig()
  change(config)
  return config
}

function linux(config: RuntimeConfig): NonNullable<RuntimeConfig['linux']> {
  config.linux ??= {}
  return config.linux
}
