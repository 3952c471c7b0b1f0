import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { which } from '@cromwell/test-support'
import { onTestFinished } from 'vitest'
import type { ContainedProcess, ExitStatus } from './contained-process.ts'
import { DEFAULT_CAPABILITIES, DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS } from './defaults.ts'
import { selectIdMapping } from './id-mapping.ts'
import { type LaunchOptions, launch } from './launch.ts'
import type { LaunchSpec, Mount, ProcessSpec } from './launch-spec.ts'
import { removeTree } from './remove-tree.test.fixture.ts'
import { defaultSeccomp } from './seccomp/default-filter.ts'

/** The mapping that containers of this user get: root, subordinate ids, or one id. */
export const idMapping = chooseMapping()

/** The user itself and nothing else, whatever it could have. */
export const singleId = selectIdMapping({
  ...ownIds(),
  ...(process.getuid?.() === 0 ? { ownMap: '0 0 1', ownGidMap: '0 0 1' } : {}),
  subuid: '',
  subgid: '',
})

/** A seccomp program that lets everything pass: BPF_RET | BPF_K, SECCOMP_RET_ALLOW. */
export const ALLOW_ALL = Uint8Array.of(0x06, 0, 0, 0, 0, 0, 0xff, 0x7f)

function ownIds() {
  const { uid, gid, username: userName } = userInfo()
  return { uid, gid, userName, ownMap: readFileSync('/proc/self/uid_map', 'utf8') }
}

function chooseMapping() {
  return selectIdMapping({
    ...ownIds(),
    subuid: existsSync('/etc/subuid') ? readFileSync('/etc/subuid', 'utf8') : '',
    subgid: existsSync('/etc/subgid') ? readFileSync('/etc/subgid', 'utf8') : '',
    newuidmap: which('newuidmap'),
    newgidmap: which('newgidmap'),
  })
}

/** A directory that is gone after the test, whoever owns what is in it. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'cromwell-ns-'))
  onTestFinished(() => removeTree(path))
  return path
}

/** Parts of a spec that a test wants otherwise. */
export interface Changes extends Partial<Omit<LaunchSpec, 'process' | 'mounts'>> {
  process?: Partial<ProcessSpec>
  /** Besides /usr, /proc, /dev, /sys and /tmp. */
  mounts?: readonly Mount[]
  /** Makes things in the image before the container starts. */
  image?: (directory: string) => void
}

/** A full container whose image is an empty directory with this machine's /usr bound into it. */
export function containerSpec(args: readonly string[], changes: Changes = {}): LaunchSpec {
  const directory = temporaryDirectory()
  for (const name of ['image', 'root', 'upper', 'work']) mkdirSync(join(directory, name))
  const image = join(directory, 'image')
  const mounts: Mount[] = []
  for (const name of ['usr', 'bin', 'sbin', 'lib', 'lib64']) {
    const path = `/${name}`
    if (!existsSync(path)) continue
    if (lstatSync(path).isSymbolicLink()) symlinkSync(readlinkSync(path), join(image, name))
    else mounts.push({ type: 'bind', source: path, destination: path, readonly: true })
  }
  const { process: processChanges, mounts: more = [], image: prepare, ...others } = changes
  prepare?.(image)
  return {
    namespaces: ['user', 'mount', 'pid', 'network', 'ipc', 'uts', 'cgroup'],
    idMapping,
    hostname: 'box',
    root: {
      path: join(directory, 'root'),
      overlay: {
        lowerDirs: [image],
        upperDir: join(directory, 'upper'),
        workDir: join(directory, 'work'),
      },
    },
    mounts: [
      ...mounts,
      { type: 'proc', destination: '/proc' },
      { type: 'dev', destination: '/dev' },
      { type: 'sysfs', destination: '/sys', readonly: true },
      { type: 'tmpfs', destination: '/tmp', mode: 0o1777, sizeBytes: 1 << 22 },
      ...more,
    ],
    maskedPaths: DEFAULT_MASKED_PATHS,
    readonlyPaths: DEFAULT_READONLY_PATHS,
    process: {
      args,
      env: ['PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin'],
      cwd: '/',
      uid: 0,
      gid: 0,
      additionalGids: [],
      umask: 0o022,
      capabilities: DEFAULT_CAPABILITIES,
      noNewPrivileges: true,
      seccomp: defaultSeccomp(),
      ...processChanges,
    },
    ...others,
  }
}

/** What a contained program printed and how it ended. */
export interface Outcome extends ExitStatus {
  stdout: string
  stderr: string
}

/** Launch a spec with pipes, and collect everything. */
export async function runSpec(
  spec: LaunchSpec,
  options: Partial<LaunchOptions> & { input?: string } = {},
): Promise<Outcome> {
  const { input, ...others } = options
  const stdin = input === undefined ? 'ignore' : 'pipe'
  const process = await launch(spec, { stdio: [stdin, 'pipe', 'pipe'], ...others })
  process.stdin?.end(input)
  const [stdout, stderr, status] = await Promise.all([
    collect(process.stdout),
    collect(process.stderr),
    process.wait(),
  ])
  return { ...status, stdout, stderr }
}

/** Run a shell script in a container. */
export function runScript(script: string, changes: Changes = {}): Promise<Outcome> {
  return runSpec(containerSpec(['/bin/sh', '-c', script], changes))
}

/** All that a stream says until its end. */
export async function collect(stream: ContainedProcess['stdout']): Promise<string> {
  if (stream === undefined) return ''
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

/** Wait until something holds; fails the test after half a minute, which is long for any host. */
export async function eventually<T>(
  probe: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const end = Date.now() + 30_000
  for (;;) {
    const result = await probe()
    if (result !== undefined && result !== false) return result
    if (Date.now() > end) throw new Error('it did not happen within half a minute')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Whether a process exists that is more than a zombie. */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return !/^\d+ \(.*\) [ZX]/s.test(stat)
  } catch {
    return false
  }
}

/** Arguments of `node` for a program that imports this package as its users do. */
export function nodeProgram(source: string, ...args: string[]): string[] {
  return ['--input-type=module', '--eval', source, ...args]
}
