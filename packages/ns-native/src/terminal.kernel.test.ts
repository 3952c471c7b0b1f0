import { closeSync, openSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, test } from 'vitest'
import {
  containerSpec,
  eventually,
  idMapping,
  nodeProgram,
  singleId,
  temporaryDirectory,
} from './container.test.fixture.ts'
import { CAPABILITIES } from './defaults.ts'
import { launch } from './launch.ts'
import type { LaunchSpec } from './launch-spec.ts'
import { terminal } from './terminal.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

const packageDirectory = fileURLToPath(new URL('..', import.meta.url))
const size = { columns: 100, rows: 40 }

/** A container on a pseudo-terminal, and a hand and an eye at its other end. */
async function open(spec: LaunchSpec) {
  const child = await launch(spec, { stdio: ['pipe', 'pipe', 'ignore'] })
  let screen = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    screen += chunk.toString()
  })
  return {
    child,
    type: (text: string) => child.stdin?.write(text),
    sees: async (text: string | RegExp) => {
      const seen = () => (typeof text === 'string' ? screen.includes(text) : text.test(screen))
      await eventually(seen).catch(() => expect(screen).toMatch(text))
      return screen
    },
    screen: () => screen,
  }
}

const shell = (script: string, changes = {}) =>
  containerSpec(['/bin/sh', '-c', script], { process: { terminal: size, ...changes } })

test('the program has a terminal of the container’s own devpts, of the size asked for', async () => {
  const { child, screen } = await open(
    shell(
      'tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo all; ls /dev/pts; stat -c %F /dev/console',
    ),
  )
  expect(await child.wait()).toMatchObject({ exitCode: 0 })
  expect(screen()).toBe('/dev/pts/0\r\n40 100\r\nall\r\n0  ptmx\r\ncharacter special file\r\n')
})

test('it is the controlling terminal, and /dev/console is the same', async () => {
  const { child, screen } = await open(
    shell(
      'echo to-tty > /dev/tty; echo to-console > /dev/console; cut -d" " -f7 /proc/self/stat; ls -i /dev/console /dev/pts/0 | cut -d" " -f1 | uniq | wc -l',
    ),
  )
  await child.wait()
  expect(screen()).toBe('to-tty\r\nto-console\r\n34816\r\n1\r\n')
})

test('a user other than root owns the terminal', async (context) => {
  requires(context, 'subuid', idMapping.kind !== 'single', 'this user has one id only')
  const { child, screen } = await open(
    shell('stat -c %u /dev/pts/0; echo x > /dev/pts/0', { uid: 33, gid: 33 }),
  )
  await child.wait()
  expect(screen()).toBe('33\r\nx\r\n')
})

test('what is typed arrives, with echo', async () => {
  const { child, type, sees } = await open(shell('read line; echo "got $line"'))
  type('hello\r')
  await sees('hello\r\ngot hello\r\n')
  expect(await child.wait()).toMatchObject({ exitCode: 0 })
})

test('^C is SIGINT for the program', async () => {
  const { child, type, sees } = await open(
    shell('trap "echo caught; exit 7" INT; echo ready; while :; do sleep 0.05; done'),
  )
  await sees('ready')
  type('\x03')
  await sees('caught')
  expect(await child.wait()).toMatchObject({ exitCode: 7 })
})

test('a new size is SIGWINCH for the program', async () => {
  const { child, sees } = await open(
    shell('trap "stty size; exit 3" WINCH; echo ready; while :; do sleep 0.05; done'),
  )
  await sees('ready')
  child.resize({ columns: 77, rows: 33 })
  await sees('33 77')
  expect(await child.wait()).toMatchObject({ exitCode: 3 })
})

test('the end of input is ^D', async () => {
  const { child, sees } = await open(shell('cat; echo over'))
  child.stdin?.end('text\r')
  await sees('over')
  expect(await child.wait()).toMatchObject({ exitCode: 0 })
})

test('all output arrives, however much and however late it is read', async () => {
  const { child, screen } = await open(shell('seq 1 20000'))
  await child.wait()
  await eventually(() => screen().endsWith('20000\r\n'))
  expect(screen().split('\r\n')).toHaveLength(20001)
})

test('the terminal’s output is logged as stdout', async () => {
  const logPath = `${temporaryDirectory()}/log`
  const { child } = await open({ ...shell('echo hi; echo err >&2'), monitor: { logPath } })
  await child.wait()
  expect(readFileSync(logPath, 'utf8')).toMatch(/ stdout F hi\r\n.* stdout F err\r\n$/)
})

// A Node process on a terminal of its own (which this package made), that launches a container in
// turn. Inside one user namespace only its root can be mapped, once.
const NESTED = `
import { launch } from '@cromwell/ns-native'
const one = [{ containerID: 0, hostID: 0, size: 1 }]
const child = await launch({
  namespaces: ['user', 'pid'],
  idMapping: { kind: 'single', uidMappings: one, gidMappings: one, key: 'single' },
  mounts: [], maskedPaths: [], readonlyPaths: [],
  process: {
    args: ['/bin/sh', '-c', process.argv[1]], env: ['PATH=/usr/bin:/bin'], cwd: '/', uid: 0, gid: 0,
    additionalGids: [], umask: 18, capabilities: [], noNewPrivileges: false,
    ...(process.argv[2] === 'terminal' ? { terminal: { columns: 80, rows: 24 } } : {}),
  },
}, { stdio: [0, 1, 2] })
console.log('monitor=' + child.monitorPid + ' node=' + process.pid + '.')
await child.wait().catch((error) => console.log(error.code))
`

function nested(script: string, kind: 'terminal' | 'plain', before = '', after = ''): LaunchSpec {
  const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
  const node = [process.execPath, ...nodeProgram(NESTED, script, kind)].map(quote).join(' ')
  return {
    namespaces: ['user'],
    idMapping: singleId,
    mounts: [],
    maskedPaths: [],
    readonlyPaths: [],
    process: {
      args: ['/bin/sh', '-c', `${before}\n${node}\n${after}`],
      env: ['PATH=/usr/local/bin:/usr/bin:/bin'],
      cwd: packageDirectory,
      uid: 0,
      gid: 0,
      additionalGids: [],
      umask: 0o022,
      terminal: size,
      // without CAP_SETFCAP id 0 could not be mapped once more
      capabilities: Object.keys(CAPABILITIES),
      noNewPrivileges: false,
    },
  }
}

test.each([
  ['when the container ends', 'exit'],
  ['when Node is killed', 'node'],
  ['when the monitor is killed', 'monitor'],
])('the caller’s terminal is raw while it runs and itself again %s', async (_, what) => {
  const wait = what === 'exit' ? 'sleep 0.5' : 'while :; do sleep 0.1; done'
  const { child, sees } = await open(
    nested(
      wait,
      'terminal',
      'stty -g > /dev/null; echo "before=$(stty -g)."; trap "" HUP',
      'sleep 0.2; echo "after=$(stty -g)."; exit 0',
    ),
  )
  const screen = await sees(/monitor=(\d+) node=(\d+)\./)
  const [, monitor, node] = /monitor=(\d+) node=(\d+)\./.exec(screen) ?? []
  if (what === 'monitor') process.kill(Number(monitor), 'SIGKILL')
  if (what === 'node') process.kill(Number(node), 'SIGKILL')
  const final = await sees(/after=(.*)\./)
  expect(/after=(.*)\./.exec(final)?.[1]).toBe(/before=(.*)\./.exec(final)?.[1])
  if (what === 'monitor') expect(final).toContain('ERR_NS_MONITOR_LOST')
  expect(await child.wait()).toMatchObject({ exitCode: 0 })
})

test('a terminal of the caller is never handed inside', async () => {
  const { child, sees, type } = await open(
    nested(
      'test -t 0 || test -t 1 || test -t 2 || echo none; readlink /proc/self/fd/0; read x; echo "[$x]"',
      'plain',
    ),
  )
  expect(await sees(/none[\s\S]*pipe:\[\d+\]/)).not.toContain('/dev/pts')
  type('line\r')
  await sees('[line]')
  expect(await child.wait()).toMatchObject({ exitCode: 0 })
})

test('save and restore want a terminal', () => {
  const fd = openSync('/dev/null', 'r')
  const error = expect.objectContaining({ code: 'ERR_NS_TERMINAL', errno: 25 })
  expect(() => terminal.save(fd)).toThrow(error)
  expect(() => terminal.restore(fd, { bytes: new Uint8Array(64) })).toThrow(error)
  closeSync(fd)
})
