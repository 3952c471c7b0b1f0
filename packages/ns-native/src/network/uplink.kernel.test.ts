import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { canCreateUserNamespace, requires, which } from '@cromwell/test-support'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import {
  containerSpec,
  eventually,
  isAlive,
  runSpec,
  temporaryDirectory,
} from '../container.test.fixture.ts'
import { launch } from '../launch.ts'
import type { UplinkSpec } from '../launch-spec.ts'
import { perl } from './network.test.fixture.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

function canUseTun(): boolean {
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** Every process whose command line has this program in it. */
function running(program: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0]?.endsWith(program)
      } catch {
        return false // gone
      }
    })
}

/** A program that stands for an uplink: says that it is ready, or what else the test wants. */
function fakeUplink(script: string, interpreter = '/bin/sh'): UplinkSpec {
  const path = join(temporaryDirectory(), 'fake-uplink')
  writeFileSync(path, `#!${interpreter}\n${script}\n`)
  chmodSync(path, 0o755)
  return { program: 'slirp4netns', path }
}

async function serve(): Promise<{ server: Server; port: number }> {
  const server = createServer((_, response) => response.end('the host\n'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
  })
  return { server, port: (server.address() as AddressInfo).port }
}

test.each(['slirp4netns', 'pasta'] as const)(
  '%s gives the container a way out, to the host’s loopback only if told to, and ends with it',
  async (program) => {
    const { port } = await serve()
    const before = running(program)
    const specWith = (hostLoopback: boolean) =>
      containerSpec(
        perl(`
      open(my $routes, '<', '/proc/net/route') or die $!;
      my ($gateway) = map { /^\\S+\\s+00000000\\s+(\\w+)/ ? join('.', reverse map hex, $1 =~ /../g) : () } <$routes>;
      my $socket = IO::Socket::INET->new(PeerAddr => "$gateway:${port}", Timeout => 2) or do { print 'no'; exit };
      print $socket "GET / HTTP/1.0\\r\\n\\r\\n";
      print grep { /host/ } <$socket>`),
        { network: { uplink: { program, hostLoopback } } },
      )
    if (which(program) === undefined || !canUseTun()) {
      const missing = [which(program) === undefined ? program : 'tun']
      await expect(runSpec(specWith(true))).rejects.toMatchObject({
        code: 'ERR_NS_UNSUPPORTED',
        missing,
      })
      return
    }
    expect(await runSpec(specWith(true))).toMatchObject({ stdout: 'the host\n', stderr: '' })
    expect(await runSpec(specWith(false))).toMatchObject({ stdout: 'no' })
    expect(running(program)).toEqual(before)
  },
)

test('the uplink is there before the program starts, gets nothing of the caller, and ends with it', async () => {
  const notes = join(temporaryDirectory(), 'notes')
  const uplink = fakeUplink(
    `open(my $notes, '>', '${notes}');
    opendir(my $fds, '/proc/self/fd');
    my @fds = grep { !/^\\./ && -e "/proc/self/fd/$_" } readdir $fds;
    print $notes "arguments @ARGV\\nenvironment @{[%ENV]}\\ndescriptors @{[sort @fds]}\\n";
    close $notes;
    open(my $ready, '>&=', 3);
    syswrite $ready, 'ready';
    sleep 1234`,
    '/usr/bin/perl',
  )
  const box = await launch(containerSpec(['sleep', '1000'], { network: { uplink } }), {
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  const [args, environment, descriptors] = readFileSync(notes, 'utf8').split('\n')
  expect(args).toContain(` ${box.pid} tap0`)
  expect(environment).toBe('environment ')
  // two of them are perl’s own: the notes, the directory
  expect(descriptors).toBe('descriptors 0 1 2 3 4 5')
  const [uplinkPid] = childrenOf(
    childrenOf(box.monitorPid).filter((pid) => pid !== box.pid)[0] ?? 0,
  )
  expect(isAlive(uplinkPid ?? 0)).toBe(true)
  box.kill('SIGKILL')
  await box.wait()
  expect(isAlive(uplinkPid ?? 0)).toBe(false)
})

test('kill -9 of the monitor is the end of the uplink, too', async () => {
  const uplink = fakeUplink('echo ready >&3; exec sleep 1234')
  const box = await launch(containerSpec(['sleep', '1000'], { network: { uplink } }), {
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  const [keeper = 0] = childrenOf(box.monitorPid).filter((pid) => pid !== box.pid)
  const [uplinkPid = 0] = childrenOf(keeper)
  expect([isAlive(keeper), isAlive(uplinkPid)]).toEqual([true, true])
  process.kill(box.monitorPid, 'SIGKILL')
  await expect(box.wait()).rejects.toMatchObject({ code: 'ERR_NS_MONITOR_LOST' })
  await eventually(() => !isAlive(keeper) && !isAlive(uplinkPid))
})

test('an uplink that fails says why, and nothing is left', async () => {
  const run = (script: string) =>
    runSpec(containerSpec(['true'], { network: { uplink: fakeUplink(script) } }))
  await expect(run('echo "no such luck" >&2; exit 1')).rejects.toMatchObject({
    code: 'ERR_NS_SETUP',
    step: 'net.uplink',
    path: 'slirp4netns',
    message: expect.stringContaining('no such luck'),
  })
  // slirp4netns warns on its standard output before it fails
  await expect(run('echo "WARNING: no matter"; exit 1')).rejects.toMatchObject({
    step: 'net.uplink',
    message: expect.stringContaining('no matter'),
  })
  const path = join(temporaryDirectory(), 'missing')
  const missing: UplinkSpec = { program: 'pasta', path }
  await expect(
    runSpec(containerSpec(['true'], { network: { uplink: missing } })),
  ).rejects.toMatchObject({ step: 'net.uplink' })
  expect(existsSync(path)).toBe(false)
})

test('an uplink into the caller’s own network is refused', async () => {
  const spec = containerSpec(['true'], { network: { uplink: { program: 'slirp4netns' } } })
  const namespaces = spec.namespaces.filter((type) => type !== 'network')
  await expect(runSpec({ ...spec, namespaces })).rejects.toMatchObject({ code: 'ERR_NS_SPEC' })
})

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
  return text.split(' ').filter(Boolean).map(Number)
}
