import { spawnSync } from 'node:child_process'
import { openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, test } from 'vitest'
import { containerSpec, eventually, nodeProgram, runSpec } from './container.test.fixture.ts'
import { DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS } from './defaults.ts'
import { NamespaceError } from './errors.ts'
import { launch } from './launch.ts'
import { asJson, packageDirectory } from './odd-host.test.fixture.ts'

// What a program sees of itself is the same whoever launches it: leaks.golden.txt has it, and is
// written anew by `vitest run -u`.

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

// The shell looks at itself with what it has built in; ls and cat would open files of their own.
const LOOK = `
echo "== fd"
i=0; while [ $i -lt 1024 ]; do [ -e /proc/self/fd/$i ] && echo $i; i=$((i+1)); done
echo "== environ"; tr '\\0' '\\n' < /proc/$$/environ
echo "== cgroup"; cat /proc/$$/cgroup
echo "== cwd"; pwd
echo "== ns"; for name in /proc/$$/ns/*; do echo "$name $(readlink "$name")"; done
echo "== attr"; cat /proc/$$/attr/current 2>/dev/null; echo
echo "== mountinfo"; cat /proc/$$/mountinfo
echo "== status"; exec cat /proc/self/status
`

const MASKED: readonly string[] = DEFAULT_MASKED_PATHS
const READONLY: readonly string[] = DEFAULT_READONLY_PATHS

const STATUS = [
  ...['Umask', 'TracerPid', 'Uid', 'Gid', 'Threads', 'SigPnd', 'ShdPnd', 'SigBlk', 'SigIgn'],
  ...['SigCgt', 'CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp'],
  ...['Seccomp_filters'],
]

/** What is the same on every host and for every kind of user. */
function normalise(text: string): string {
  return sections(text)
    .map(
      ([name, lines]) => `== ${name}\n${[...new Set(normaliseSection(name, lines))].join('\n')}\n`,
    )
    .join('')
}

function sections(text: string): [string, string[]][] {
  return text
    .split(/^== /m)
    .slice(1)
    .map((part) => {
      const [name = '', ...lines] = part.trimEnd().split('\n')
      return [name, lines]
    })
}

function normaliseSection(name: string, lines: string[]): string[] {
  switch (name) {
    case 'status':
      return lines
        .filter((line) => STATUS.includes(line.split(':')[0] ?? ''))
        .map((line) => line.replace(/\s+/g, ' '))
    case 'mountinfo':
      return lines.flatMap(normaliseMount).sort()
    case 'ns':
      return lines.map(normaliseNamespace)
    case 'attr': // a security module's name for it, the same as ours
      return lines.map((line) => line.replace(/\0/g, '')).filter((line) => line !== ownLabel())
    case 'cgroup':
      return lines.map((line) => line.replace(/^.*:/, '')) // which there are is the host's
    default:
      return lines
  }
}

// Where, how, of what file system, and whether it is connected to a mount elsewhere.
function normaliseMount(line: string): string[] {
  const [left = '', right = ''] = line.split(' - ')
  const [, , , , point = '', flags = '', ...tags] = left.split(' ')
  const [type = ''] = right.split(' ')
  if (/^\/(usr|bin|sbin|lib\w*)(\/|$)/.test(point)) return [] // of the machine that tests
  // which of these there are, and what of, depends on the kernel
  if (MASKED.includes(point)) return [['masked paths', ...tags].join(' ')]
  if (/^\/dev\/(null|zero|full|random|urandom|tty)$/.test(point))
    return [['devices', ...tags].join(' ')]
  const listed = READONLY.includes(point) ? 'read-only paths' : point
  return [[listed, flags, type, ...tags].join(' ')]
}

function normaliseNamespace(line: string): string {
  const [path = '', target = ''] = line.split(' ')
  const name = path.slice(path.lastIndexOf('/') + 1)
  const file = name === 'pid_for_children' ? 'pid' : name === 'time_for_children' ? 'time' : name
  return `${name} ${readlinkSync(`/proc/self/ns/${file}`) === target ? 'the launcher’s' : 'its own'}`
}

function ownLabel(): string {
  try {
    return readFileSync('/proc/self/attr/current', 'latin1').replace(/\0/g, '').trim()
  } catch {
    return ''
  }
}

const spec = () => containerSpec(['/bin/sh', '-c', LOOK])

test('a program sees of itself what the golden file says', async () => {
  const { stdout, stderr } = await runSpec(spec())
  expect(stderr).toBe('')
  await expect(normalise(stdout)).toMatchFileSnapshot('leaks.golden.txt')
})

test('it sees the same when its launcher has 300 descriptors, odd signals, limits, priority, mask and directory', async () => {
  const { process: program, ...others } = spec()
  const { seccomp: _, ...withoutFilter } = program
  // 300 descriptors with gaps: Node closes what it inherits only up to the first one
  const null_ = openSync('/dev/null', 'r')
  const descriptors = Array.from({ length: 300 }, (_, fd) =>
    fd < 3 ? ('pipe' as const) : fd % 7 === 5 ? ('ignore' as const) : null_,
  )
  const messy = [
    'ulimit -n 700; ulimit -c 0; umask 0; trap "" HUP INT QUIT USR1 PIPE CHLD TERM XFSZ',
    'exec nice -n 3 "$0" "$@" 0<&-',
  ].join('; ')
  const source = `const fs = await import('node:fs')
    const { defaultSeccomp, launch } = await import('@cromwell/ns-native')
    const directory = fs.mkdtempSync('/tmp/cromwell-gone-')
    process.chdir(directory); fs.rmdirSync(directory)
    process.env.SECRET = 'of the launcher'
    const spec = JSON.parse(process.argv[1])
    spec.process.seccomp = defaultSeccomp()
    const child = await launch(spec, { stdio: ['ignore', 'pipe', 2] })
    child.stdout.pipe(process.stdout)
    await child.wait()`
  const inner = asJson({ ...others, process: withoutFilter })
  const args = ['-c', messy, process.execPath, ...nodeProgram(source, inner)]
  const { stdout, stderr } = spawnSync('/bin/sh', args, {
    cwd: packageDirectory,
    encoding: 'utf8',
    stdio: descriptors,
  })
  expect(stderr).toBe('')
  await expect(normalise(stdout)).toMatchFileSnapshot('leaks.golden.txt')
})

test('eighty launches, half of them given up at random moments, leave counts as they were', async () => {
  const once = async (abortAfterMs: number | undefined) => {
    const controller = new AbortController()
    const timer = setTimeout(() => controller.abort(), abortAfterMs ?? 60_000)
    try {
      const options = { stdio: ['ignore', 'ignore', 'ignore'] as const, signal: controller.signal }
      await (await launch(containerSpec(['/bin/true']), options)).wait()
    } catch (error) {
      // given up: as it should
      if (!(error instanceof NamespaceError && error.code === 'ERR_NS_ABORTED')) throw error
    } finally {
      clearTimeout(timer)
    }
  }
  await once(undefined) // what is opened once and kept
  await eventually(() => counts().children === 0)
  const before = counts()
  for (let round = 0; round < 20; round++)
    await Promise.all([undefined, undefined, Math.random() * 8, Math.random() * 25].map(once))
  await eventually(() => {
    const now = counts()
    const settled = now.descriptors <= before.descriptors && now.children <= before.children
    return settled && now.mounts === before.mounts
  })
})

function counts() {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  const own = pids.filter((pid) => parentOf(pid) === process.pid)
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    mounts: readFileSync('/proc/self/mountinfo', 'utf8').split('\n').length,
    children: own.length,
  }
}

const read = (path: string) => {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return '' // gone by now
  }
}
const parentOf = (pid: string) => Number(read(`/proc/${pid}/stat`).split(') ')[1]?.split(' ')[1])
