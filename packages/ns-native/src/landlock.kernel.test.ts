import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import {
  containerSpec,
  nodeProgram,
  runScript,
  runSpec,
  temporaryDirectory,
} from './container.test.fixture.ts'
import { landlock } from './landlock.ts'
import type { LandlockPath, LandlockSpec } from './landlock-rights.ts'
import type { LaunchSpec } from './launch-spec.ts'
import { asJson, LAUNCH, oddHost } from './odd-host.test.fixture.ts'
import { defaultSeccomp } from './seccomp/default-filter.ts'

beforeEach((context) => {
  requires(context, 'landlock', landlock.abi() >= 6, 'wants Landlock of ABI 6, Linux 6.12')
})

/** A program of this user without any namespace of its own. */
function plainSpec(args: readonly string[], rules: LandlockSpec, cwd = '/'): LaunchSpec {
  return {
    namespaces: [],
    mounts: [],
    maskedPaths: [],
    readonlyPaths: [],
    process: {
      args,
      env: ['PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin'],
      cwd,
      uid: process.getuid?.() ?? 0,
      gid: process.getgid?.() ?? 0,
      additionalGids: process.getgroups?.() ?? [],
      umask: 0o022,
      capabilities: [],
      noNewPrivileges: true,
      seccomp: defaultSeccomp(),
      landlock: rules,
    },
  }
}

const shell = (script: string) => ['/bin/sh', '-c', script]
// programs and what they load; the directories that are links lead there
const SYSTEM: LandlockPath[] = [
  ...['/usr', '/bin', '/lib', '/lib64'].map(
    (path): LandlockPath => ({ path, access: ['read', 'execute'], optional: true }),
  ),
  { path: '/dev/null', access: ['read', 'write'] },
]

test('without any namespace: files are read and written where rules say, and nowhere else', async () => {
  const directory = temporaryDirectory()
  for (const name of ['open', 'closed']) mkdirSync(join(directory, name))
  for (const name of ['open/a', 'closed/a']) writeFileSync(join(directory, name), 'text')
  const script = `
    cat open/a; echo b > open/b && rm open/a && echo changed
    cat closed/a || echo 'not read'
    echo c > closed/c || echo 'not written'
    ls closed || echo 'not listed'
    true > closed/a || echo 'not truncated'
    mv open/b closed/b || echo 'not moved'
    cat /etc/passwd || echo 'no users'
    grep -E 'NoNewPrivs|Seccomp:|CapEff' /proc/self/status || echo 'no proc'
  `
  const fs: LandlockPath[] = [
    ...SYSTEM,
    { path: join(directory, 'open'), access: ['read', 'write'] },
  ]
  const { stdout, exitCode } = await runSpec(plainSpec(shell(script), { fs }, directory))
  expect(stdout.split('\n')).toEqual([
    'textchanged',
    ...['not read', 'not written', 'not listed', 'not truncated', 'not moved'],
    ...['no users', 'no proc', ''],
  ])
  expect(exitCode).toBe(0)
})

test('what may not be executed is not executed', async () => {
  const fs: LandlockPath[] = [{ path: '/', access: ['read', 'write'] }]
  await expect(runSpec(plainSpec(['/bin/true'], { fs }))).rejects.toMatchObject({
    code: 'ERR_NS_EXEC',
    errno: 13,
    hint: expect.stringContaining('Landlock'),
  })
})

test('TCP ports are bound and connected where rules say, and no others', async () => {
  const server = createServer((socket) => socket.end())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const source = `
    import net from 'node:net'
    const attempt = (start) => new Promise((resolve) => start()
      .once('error', (error) => resolve(error.code)).once('connect', () => resolve('connected'))
      .once('listening', function () { this.close(); resolve('bound') }))
    console.log(await attempt(() => net.connect(${port}, '127.0.0.1')))
    console.log(await attempt(() => net.createServer().listen(0, '127.0.0.1')))
    process.exit()
  `
  const run = async (rules: LandlockSpec) =>
    (await runSpec(plainSpec([process.execPath, ...nodeProgram(source)], rules))).stdout
  expect(await run({ net: { connectTcp: [port] } })).toBe('connected\nbound\n')
  expect(await run({ net: { connectTcp: [1], bindTcp: [0] } })).toBe('EACCES\nbound\n')
  expect(await run({ net: { bindTcp: [1] } })).toBe('connected\nEACCES\n')
})

test('rule 22: abstract sockets and processes outside are out of reach by scope', async () => {
  const name = `cromwell-scope-${process.pid}`
  const server = createServer((socket) => socket.end())
  await new Promise<void>((resolve) => server.listen(`\0${name}`, resolve))
  onTestFinished(() => {
    server.close()
  })
  const source = `
    import net from 'node:net'
    const socket = net.connect('\\0${name}')
    console.log(await new Promise((resolve) => socket
      .once('error', (error) => resolve(error.code)).once('connect', () => resolve('connected'))))
    try { process.kill(${process.pid}, 0); console.log('reached') } catch (error) { console.log(error.code) }
    process.exit()
  `
  const run = async (rules: LandlockSpec) =>
    (await runSpec(plainSpec([process.execPath, ...nodeProgram(source)], rules))).stdout
  expect(await run({})).toBe('connected\nreached\n')
  expect(await run({ scope: ['abstract_unix_socket'] })).toBe('EPERM\nreached\n')
  expect(await run({ scope: ['signal'] })).toBe('connected\nEPERM\n')
})

test('it works where user namespaces are forbidden, which are an error there', async (context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
  const outcome = async (inner: LaunchSpec) => {
    const source = `try { ${LAUNCH}; child.stdout.pipe(process.stdout); await child.wait() }
      catch (error) { console.log(error.code, error.step) }`
    const host = oddHost([process.execPath, ...nodeProgram(source, asJson(inner))], [])
    return (await runSpec({ ...host, maxUserNamespaces: 0 })).stdout
  }
  const plain = plainSpec(shell('echo inside; cat /etc/passwd || echo closed'), { fs: SYSTEM })
  const root = { ...plain.process, uid: 0, gid: 0, additionalGids: [] }
  expect(await outcome({ ...plain, process: root })).toBe('inside\nclosed\n')
  const forbidden = { ...containerSpec(['true']), mounts: [], maskedPaths: [], readonlyPaths: [] }
  expect(await outcome(forbidden)).toBe('ERR_NS_SETUP clone\n')
})

test('in a container the rules are about its own files, mounted for it or not', async () => {
  const fs: LandlockPath[] = [
    ...SYSTEM,
    { path: '/tmp', access: ['read', 'write'] },
    { path: '/nowhere', access: ['read'], optional: true },
  ]
  const script = 'echo x > /tmp/x && cat /tmp/x; echo y > /y || echo no; ls /proc || echo none'
  const { stdout } = await runScript(script, { process: { landlock: { fs } } })
  expect(stdout).toBe('x\nno\nnone\n')
})

test('a path that does not exist is an error', async () => {
  const fs: LandlockPath[] = [...SYSTEM, { path: '/no/such', access: ['read'] }]
  await expect(runSpec(plainSpec(['true'], { fs }))).rejects.toMatchObject({
    code: 'ERR_NS_SETUP',
    step: 'landlock',
    errno: 2,
    path: '/no/such',
    hint: expect.stringContaining('optional'),
  })
})

test('groups that a plain user cannot drop are an error', async (context) => {
  requires(context, 'plain-user', process.getuid?.() !== 0, 'root can')
  const spec = plainSpec(['true'], { fs: SYSTEM })
  const started = runSpec({ ...spec, process: { ...spec.process, additionalGids: [0] } })
  await expect(started).rejects.toMatchObject({ step: 'setgroups', errno: 1 })
})

/** Allows all but landlock_create_ruleset, which does not exist, as in a kernel without Landlock. */
const NO_LANDLOCK = Uint8Array.of(
  ...[0x20, 0, 0, 0, 0, 0, 0, 0], // load the call’s number
  ...[0x15, 0, 1, 0, 0xbc, 0x01, 0, 0], // 444 on every processor
  ...[0x06, 0, 0, 0, 0, 0, 0xff, 0x7f],
  ...[0x06, 0, 0, 0, 38, 0, 0x05, 0], // ENOSYS
)

test('what the kernel cannot restrict is an error, unless it is named as dispensable', async (context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
  const outcome = async (rules: LandlockSpec) => {
    const source = `try { ${LAUNCH}; child.stdout.pipe(process.stdout); await child.wait() }
      catch (error) { console.log(error.code, error.step, error.missing.join(' ')) }`
    const inner = plainSpec(shell('echo runs'), rules)
    const spec = { ...inner, process: { ...inner.process, uid: 0, gid: 0, additionalGids: [] } }
    const host = oddHost([process.execPath, ...nodeProgram(source, asJson(spec))], [])
    return (await runSpec({ ...host, process: { ...host.process, seccomp: NO_LANDLOCK } })).stdout
  }
  const both: LandlockSpec = { net: { bindTcp: [] }, scope: ['signal'] }
  const missing = 'ERR_NS_UNSUPPORTED landlock'
  expect(await outcome(both)).toBe(`${missing} landlock.bind_tcp landlock.signal\n`)
  expect(await outcome({ ...both, degraded: ['signal'] })).toBe(`${missing} landlock.bind_tcp\n`)
  expect(await outcome({ ...both, degraded: ['signal', 'bind_tcp'] })).toBe('runs\n')
})

test('what is supported is what the ABI has', () => {
  const { abi, fs, net, scope } = landlock.supported()
  expect(abi).toBeGreaterThanOrEqual(6)
  expect([fs.length, net, scope]).toEqual([
    16,
    ['bind_tcp', 'connect_tcp'],
    ['abstract_unix_socket', 'signal'],
  ])
})
