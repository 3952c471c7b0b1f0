// Who is measured by bench/sandbox.mjs: title → a function that runs the smallest program once and
// resolves to { blockedMs, totalMs }: how long the call kept Node's thread, and the whole time until
// JavaScript knew that it had ended. Peers are started by posix_spawn (spawn.c), as our helper is.
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { Socket } from 'node:net'
import { join } from 'node:path'
import {
  DEFAULT_CAPABILITIES,
  DEFAULT_MASKED_PATHS,
  DEFAULT_READONLY_PATHS,
  defaultSeccomp,
  launch,
} from '@cromwell/ns-native'
import { run, which } from '@cromwell/test-support'

/** The pairs that are the same sandbox. */
export const TITLES = {
  five: '**cromwell**: five namespaces, /proc',
  bwrapFive: 'bwrap, the same, by posix_spawn',
  all: '**cromwell**: all seven, /dev, /tmp',
  bwrapAll: 'bwrap --unshare-all --dev, by posix_spawn',
}

const now = () => Number(process.hrtime.bigint()) / 1e6

/** @param {string} directory with `root/true` and `spawn.node`, made by sandbox.mjs */
export async function contenders(directory) {
  const root = join(directory, 'root')
  const program = join(root, 'true')
  const binding = createRequire(import.meta.url)(join(directory, 'spawn.node'))
  const posix = (argv) => () => posixSpawn(binding, argv)
  const five = ['--unshare-user', '--unshare-pid', '--unshare-uts', '--unshare-ipc']
  const view = ['--ro-bind', root, '/', '--proc', '/proc']
  const dev = ['--dev', '/dev', '--tmpfs', '/tmp']
  const bwrap = which('bwrap')
  const unshare = ['--user', '--map-root-user', '--mount', '--pid', '--fork', '--uts', '--ipc']
  const all = {
    'posix_spawn of the program, no sandbox': posix([program]),
    'child_process.spawn of the program, no sandbox': () => childProcess([program]),
    [TITLES.five]: () => cromwell(spec(root)),
    ...(bwrap && {
      [TITLES.bwrapFive]: posix([bwrap, ...five, ...view, '/true']),
      'bwrap, the same, by child_process.spawn': () =>
        childProcess([bwrap, ...five, ...view, '/true']),
    }),
    'unshare(1), the same namespaces, no root of its own': posix([
      which('unshare'),
      ...unshare,
      ...[`--mount-proc=${join(root, 'proc')}`, program],
    ]),
    [TITLES.all]: () => cromwell(wide(root)),
    ...(bwrap && {
      [TITLES.bwrapAll]: posix([...[bwrap, '--unshare-all', ...view, ...dev, '/true']]),
    }),
    '**cromwell**: container (overlay, masks, capabilities, seccomp)': () =>
      cromwell(container(directory)),
  }
  const crun = await crunCommand(directory)
  if (crun) all['crun run, OCI bundle, by posix_spawn'] = posix(crun)
  return all
}

/** user, mount, pid, uts and ipc namespaces; the given root read-only, and a /proc. */
export function spec(root, changes = {}) {
  return {
    namespaces: ['user', 'mount', 'pid', 'uts', 'ipc'],
    idMapping: {
      kind: 'single',
      uidMappings: [{ containerID: 0, hostID: process.getuid(), size: 1 }],
      gidMappings: [{ containerID: 0, hostID: process.getgid(), size: 1 }],
      key: 'single',
    },
    root: { path: root, readonly: true },
    mounts: [{ type: 'proc', destination: '/proc' }],
    maskedPaths: [],
    readonlyPaths: [],
    process: {
      args: ['/true'],
      env: [],
      cwd: '/',
      uid: 0,
      gid: 0,
      additionalGids: [],
      umask: 0o022,
      capabilities: [],
      noNewPrivileges: true,
    },
    ...changes,
  }
}

const SEVEN = ['user', 'mount', 'pid', 'network', 'ipc', 'uts', 'cgroup']
const DEV = { type: 'dev', destination: '/dev' }
const TMP = { type: 'tmpfs', destination: '/tmp', mode: 0o1777 }

function wide(root) {
  const { mounts } = spec(root)
  return spec(root, { namespaces: SEVEN, mounts: [...mounts, DEV, TMP] })
}

// A fresh writable layer each time, thrown away afterwards.
function container(directory) {
  const layer = mkdtempSync(join(directory, 'layer-'))
  const at = (name) => join(directory, name)
  for (const name of ['upper', 'work']) mkdirSync(join(layer, name))
  const { mounts, process } = spec(at('root'))
  return spec(at('root'), {
    namespaces: SEVEN,
    hostname: 'box',
    root: {
      path: at('merged'),
      overlay: {
        lowerDirs: [at('root')],
        upperDir: join(layer, 'upper'),
        workDir: join(layer, 'work'),
        volatile: true,
      },
    },
    mounts: [...mounts, DEV, { type: 'sysfs', destination: '/sys', readonly: true }, TMP],
    maskedPaths: DEFAULT_MASKED_PATHS,
    readonlyPaths: DEFAULT_READONLY_PATHS,
    process: { ...process, capabilities: DEFAULT_CAPABILITIES, seccomp: defaultSeccomp() },
    monitor: { removeOnExit: [layer] },
  })
}

async function cromwell(launchSpec) {
  const started = now()
  const promise = launch(launchSpec, { stdio: ['ignore', 'ignore', 'ignore'] })
  const blockedMs = now() - started
  const status = await (await promise).wait()
  const totalMs = now() - started
  if (status.exitCode !== 0) throw new Error(`ended with ${JSON.stringify(status)}`)
  return { blockedMs, totalMs }
}

function posixSpawn(binding, argv) {
  return new Promise((resolve, reject) => {
    const started = now()
    const [pid, fd] = binding.spawn(argv)
    const blockedMs = now() - started
    if (pid < 0) return reject(new Error(`cannot start ${argv[0]}: errno ${-pid}`))
    const socket = new Socket({ fd, readable: true, writable: false })
    socket.resume()
    socket.on('close', () => {
      const status = binding.reap(pid)
      const totalMs = now() - started
      if (status === 0) resolve({ blockedMs, totalMs })
      else reject(new Error(`${argv.join(' ')} ended with wait status ${status}`))
    })
  })
}

function childProcess([file, ...args]) {
  return new Promise((resolve, reject) => {
    const started = now()
    const child = spawn(file, args, { stdio: 'ignore', env: {} })
    const blockedMs = now() - started
    child.on('error', reject)
    child.on('exit', (code) => {
      const totalMs = now() - started
      if (code === 0) resolve({ blockedMs, totalMs })
      else reject(new Error(`${file} ended with ${code}`))
    })
  })
}

// crun wants a bundle and a cgroup v2 host; where it does not run, the table says so by leaving it out.
async function crunCommand(directory) {
  const crun = which('crun')
  if (!crun) return undefined
  const bundle = join(directory, 'bundle')
  mkdirSync(bundle, { recursive: true })
  const state = join(directory, 'crun')
  const command = [crun, '--root', state, '--cgroup-manager=disabled', 'run']
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(ociConfig(directory)))
  const argv = [...command, '--bundle', bundle, `bench-${process.pid}`]
  const [file, ...args] = argv
  const { status, stderr } = await run(file, args, {})
  if (status !== 0) console.error(`left out: crun does not run here: ${stderr.trim()}`)
  return status === 0 ? argv : undefined
}

function ociConfig(directory) {
  const { process: program, idMapping } = spec('/')
  const caps = DEFAULT_CAPABILITIES
  const mount = (destination, type, options = []) => ({
    ...{ destination, type, source: type, options },
  })
  return {
    ociVersion: '1.0.0',
    process: {
      ...{ args: program.args, env: program.env, cwd: '/', noNewPrivileges: true },
      user: { uid: 0, gid: 0 },
      capabilities: { bounding: caps, effective: caps, permitted: caps },
    },
    root: { path: join(directory, 'root'), readonly: true },
    hostname: 'box',
    mounts: [
      mount('/proc', 'proc'),
      mount('/dev', 'tmpfs', ['nosuid', 'mode=755']),
      mount('/sys', 'sysfs', ['ro']),
      mount('/tmp', 'tmpfs', ['mode=1777']),
    ],
    linux: {
      ...{ uidMappings: idMapping.uidMappings, gidMappings: idMapping.gidMappings },
      namespaces: SEVEN.map((type) => ({ type })),
      maskedPaths: DEFAULT_MASKED_PATHS,
      readonlyPaths: DEFAULT_READONLY_PATHS,
    },
  }
}
