// Where the fuzzer begins: messages as this package writes them, and one record of each kind.
import {
  DEFAULT_CAPABILITIES,
  DEFAULT_MASKED_PATHS,
  DEFAULT_READONLY_PATHS,
} from '../dist/defaults.js'
import { encodeDetach, encodeLaunch, encodeResize, encodeSignal } from '../dist/encode.js'
import { encodeMessage, RECORD } from '../dist/records.js'
import { defaultSeccomp } from '../dist/seccomp/default-filter.js'

const HEAD_BYTES = 8
const [CONFIG, COMMANDS, PACKET] = [0, 1, 2]
const ids = [{ containerID: 0, hostID: 1000, size: 1 }]
const more = [...ids, { containerID: 1, hostID: 100000, size: 65536 }]

const plain = {
  namespaces: ['user', 'mount', 'pid'],
  idMapping: { kind: 'single', uidMappings: ids, gidMappings: ids, key: 'single' },
  mounts: [],
  maskedPaths: [],
  readonlyPaths: [],
  process: {
    args: ['/bin/sh', '-c', ''],
    env: ['PATH=/bin'],
    cwd: '/',
    uid: 0,
    gid: 0,
    additionalGids: [],
    umask: 0o022,
    capabilities: [],
    noNewPrivileges: true,
  },
}

const full = {
  ...plain,
  namespaces: ['user', 'mount', 'pid', 'network', 'ipc', 'uts', 'cgroup', 'time'],
  idMapping: {
    kind: 'subid',
    uidMappings: more,
    gidMappings: more,
    key: 'subid',
    newuidmap: '/usr/bin/newuidmap',
    newgidmap: '/usr/bin/newgidmap',
  },
  hostname: 'box',
  domainname: 'example',
  timeOffsets: { monotonic: { secs: 1, nanosecs: 2 }, boottime: { secs: -3 } },
  maxUserNamespaces: 0,
  root: {
    path: '/merged',
    readonly: true,
    overlay: { lowerDirs: ['/a', '/b'], upperDir: '/u', workDir: '/w', volatile: true },
  },
  mounts: [
    { type: 'bind', source: '/usr', destination: '/usr', readonly: true, recursive: false },
    { type: 'proc', destination: '/proc' },
    { type: 'dev', destination: '/dev', shmSizeBytes: 4096 },
    { type: 'sysfs', destination: '/sys' },
    { type: 'tmpfs', destination: '/tmp', sizeBytes: 1 << 20, mode: 0o1777 },
    { type: 'file', destination: '/etc/hosts', content: '127.0.0.1 localhost\n' },
    { type: 'symlink', destination: '/lib', target: 'usr/lib' },
    { type: 'devpts', destination: '/pts' },
    { type: 'overlay', destination: '/o', lowerDirs: ['/c'], upperDir: '/d', workDir: '/e' },
  ],
  maskedPaths: DEFAULT_MASKED_PATHS,
  readonlyPaths: DEFAULT_READONLY_PATHS,
  process: {
    ...plain.process,
    uid: 1000,
    additionalGids: [4, 24, 27],
    capabilities: DEFAULT_CAPABILITIES,
    ambientCapabilities: ['CAP_NET_BIND_SERVICE'],
    rlimits: [{ type: 'RLIMIT_NOFILE', soft: 64, hard: 128 }],
    oomScoreAdj: 100,
    nice: 5,
    affinity: [0, 1],
    keyring: true,
    terminal: { columns: 80, rows: 25 },
    seccomp: defaultSeccomp().subarray(0, 64),
  },
  monitor: { logPath: '/log', exitPath: '/exit', removeOnExit: ['/gone', '/too'] },
  network: { listen: [{ port: 80 }, { host: '::1', port: 0 }] },
}

/** @returns {Buffer[]} */
export function seeds() {
  const configs = [
    encodeLaunch(plain, {}),
    encodeLaunch(full, { detached: true }),
    encodeLaunch({ ...plain, root: { tmpfs: { sizeBytes: 4096 } } }, {}),
    encodeLaunch(plain, {}, { pid: 42, parent: 41, startTime: 12345 }),
    ...Object.values(RECORD).map((type) =>
      encodeMessage([{ type, payload: Buffer.alloc(16, 47) }]),
    ),
  ]
  const commands = [encodeSignal(15), encodeResize(80, 25), encodeDetach()]
  const messages = configs.map((message) => message.subarray(HEAD_BYTES)) // cw_message_read took it
  return [
    ...messages.map((bytes) => input(CONFIG, bytes)),
    input(COMMANDS, Buffer.concat(commands)),
    ...Object.values(RECORD).map((type) =>
      input(COMMANDS, encodeMessage([{ type, payload: Buffer.alloc(8, 1) }])),
    ),
    input(PACKET, Buffer.alloc(320)),
  ]
}

/** A dictionary for libFuzzer: the head of each kind of record. */
export function tokens() {
  const heads = Object.entries(RECORD).flatMap(([name, type]) =>
    [4, 8, 12, 16].map((length) => {
      const head = Buffer.alloc(HEAD_BYTES)
      head.writeUInt16LE(type, 0)
      head.writeUInt16LE(1, 2)
      head.writeUInt32LE(length, 4)
      const text = [...head].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
      return `${name.toLowerCase()}_${length}="${text}"`
    }),
  )
  return `${heads.join('\n')}\n`
}

function input(part, bytes) {
  return Buffer.concat([Buffer.of(part), bytes])
}
