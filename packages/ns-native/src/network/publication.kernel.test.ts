import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ContainedProcess } from '../contained-process.ts'
import {
  ALLOW_ALL,
  collect,
  containerSpec,
  eventually,
  isAlive,
  nodeProgram,
} from '../container.test.fixture.ts'
import { launch } from '../launch.ts'
import type { LaunchSpec } from '../launch-spec.ts'
import { exchange, firstLine, launchNetworked, nodeMount, perl } from './network.test.fixture.ts'

let boxes: ContainedProcess[] = []

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

afterEach(async () => {
  const [...started] = boxes
  boxes = []
  for (const box of started) box.kill('SIGKILL')
  await Promise.all(started.map((box) => box.wait()))
})

async function start(...parameters: Parameters<typeof launchNetworked>): Promise<ContainedProcess> {
  const box = await launchNetworked(...parameters)
  boxes.push(box)
  return box
}

/** Answers each connection with the number of bytes that it sent before it ended its side. */
const counter = perl(`
  my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 80, Listen => 256) or die $!;
  say 'ready';
  while (my $client = $server->accept) {
    if (fork) { close $client; next }
    my ($sum, $bytes) = (0);
    while (sysread $client, $bytes, 65536) { $sum += length $bytes }
    print $client "$sum bytes";
    exit;
  }`)

test('a web server inside is reached by a published port, and by nothing else of the host', async () => {
  const source = `require('node:http').createServer((request, response) => {
    response.end('you asked for ' + request.url)
  }).listen(8080, () => console.log('ready'))`
  const box = await start(['/opt/node', '-e', source], { mounts: [nodeMount] })
  await firstLine(box)
  const { host, port, close } = await box.network.publish(8080)
  expect(host).toBe('127.0.0.1')
  const response = await fetch(`http://127.0.0.1:${port}/index.html`)
  expect(await response.text()).toBe('you asked for /index.html')
  await expect(exchange(8080, '')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  expect(close).toBeTypeOf('function')
})

test('each direction of a connection ends by itself, and nothing is lost of much', async () => {
  const box = await start(counter)
  await firstLine(box)
  const { port } = await box.network.publish(80)
  expect(await exchange(port, Buffer.alloc(10_000_000))).toBe('10000000 bytes')
  expect(await exchange(port, '')).toBe('0 bytes')
})

test('many connections at once are all made', async () => {
  const box = await start(counter)
  await firstLine(box)
  const { port } = await box.network.publish(80)
  const answers = Array.from({ length: 200 }, (_, index) => exchange(port, 'x'.repeat(index)))
  expect(await Promise.all(answers)).toEqual(answers.map((_, index) => `${index} bytes`))
})

test('where nothing listens inside, connect says so and a published port resets', async () => {
  const box = await start(['sleep', '1000'])
  await expect(box.network.connect({ port: 81 })).rejects.toMatchObject({
    code: 'ECONNREFUSED',
    errno: -111,
    syscall: 'connect',
    address: '127.0.0.1',
    port: 81,
  })
  const { port } = await box.network.publish(81)
  await expect(exchange(port, 'hello')).rejects.toMatchObject({ code: 'ECONNRESET' })
  // there is no way out of its network, for us neither
  await expect(box.network.connect({ host: '192.0.2.1', port: 80 })).rejects.toMatchObject({
    code: 'ENETUNREACH',
  })
})

test('a server that accepts nothing costs its callers their timeout, and nobody else anything', async () => {
  const box = await start(
    perl(`
      my $deaf = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 1, Listen => 1) or die $!;
      my $other = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 2, Listen => 256) or die $!;
      say 'ready';
      sleep 1000`),
  )
  await firstLine(box)
  const filling = [1, 2].map(() => box.network.connect({ port: 1 }))
  for (const socket of await Promise.all(filling)) socket.on('error', () => {})
  const late = Array.from({ length: 70 }, () =>
    box.network.connect({ port: 1 }, { timeoutMs: 300 }).then(
      () => 'connected',
      (error) => error.code,
    ),
  )
  const stop = new AbortController()
  const given = box.network.connect({ port: 1 }, { signal: stop.signal })
  setTimeout(() => stop.abort(new Error('enough')), 100)
  await expect(given).rejects.toThrow('enough')
  expect(new Set(await Promise.all(late))).toEqual(new Set(['ETIMEDOUT']))
  const socket = await box.network.connect({ port: 2 })
  expect(socket.remotePort).toBe(2)
  socket.destroy()
})

test('listening inside while the program runs: served, refused where the port is taken', async () => {
  const box = await start([
    '/bin/bash',
    '-c',
    'read port; exec 3<>/dev/tcp/127.0.0.1/$port; cat <&3; sleep 1000',
  ])
  const listener = await box.network.listen({ port: 0 })
  await expect(box.network.listen({ port: listener.port })).rejects.toMatchObject({
    code: 'EADDRINUSE',
    syscall: 'listen',
  })
  await expect(box.network.listen({ host: 'localhost', port: 1 })).rejects.toThrow(TypeError)
  await expect(box.network.listen({ port: 65536 })).rejects.toThrow(RangeError)
  await listener.serve(createServer((socket) => socket.end('from outside\n')))
  box.stdin?.write(`${listener.port}\n`)
  expect(await firstLine(box)).toBe('from outside')
})

test('hostAccess gives one port of the host, and no other', async () => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('end', () => socket.end('the host says goodbye\n')).resume()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port: hostPort } = server.address() as { port: number }
  const box = await start(
    perl(`
      my $line = <STDIN>;
      my ($port, $other) = split ' ', $line;
      my $reached = IO::Socket::INET->new("127.0.0.1:$other");
      say($reached ? 'reached' : "other port: $!");
      my $socket = IO::Socket::INET->new("127.0.0.1:$port") or die $!;
      print $socket 'hello';
      shutdown $socket, 1;
      print <$socket>`),
  )
  const access = await box.network.hostAccess(hostPort, { port: 5432 })
  expect(access).toMatchObject({ host: '127.0.0.1', port: 5432 })
  box.stdin?.end(`${access.port} ${hostPort}\n`)
  expect(await collect(box.stdout)).toBe('other port: Connection refused\nthe host says goodbye\n')
  server.close()
})

test('when the container ends, its published ports do, and nothing more can be asked of it', async () => {
  const box = await start(counter)
  await firstLine(box)
  const { port } = await box.network.publish(80)
  const open = exchange(port, Buffer.alloc(1 << 24)).then(
    () => 'answered',
    (error) => error.code,
  )
  const closed = await box.network.publish(80)
  await closed.close()
  await expect(exchange(closed.port, '')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  box.kill('SIGKILL')
  await box.wait()
  await open
  await expect(exchange(port, '')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  const ended = { code: 'ERR_NS_ENDED' }
  await expect(box.network.connect({ port: 80 })).rejects.toMatchObject(ended)
  await expect(box.network.listen({ port: 80 })).rejects.toMatchObject(ended)
  await expect(box.network.publish(80)).rejects.toMatchObject(ended)
})

test('a container whose network was not asked for has none to use', async () => {
  const box = await launch(containerSpec(['sleep', '1000']), { stdio: ['pipe', 'pipe', 2] })
  boxes.push(box)
  const missing = { code: 'ERR_NS_SPEC', pointer: '/network' }
  await expect(box.network.publish(80)).rejects.toMatchObject(missing)
  await expect(box.network.connect({ port: 80 })).rejects.toMatchObject(missing)
})

test('when Node is killed, what it published is gone', async () => {
  const fixture = new URL('./network.test.fixture.ts', import.meta.url)
  const source = `
    import { launch } from '@cromwell/ns-native'
    const { spec } = JSON.parse(process.argv[1])
    const box = await launch(spec, { stdio: ['ignore', 'ignore', 2] })
    const { port } = await box.network.publish(80)
    console.log(JSON.stringify({ port, pid: box.pid }))`
  expect(fixture.protocol).toBe('file:')
  const { seccomp: _none, ...program } = containerSpec(['sleep', '1000']).process
  const spec = { ...containerSpec(['sleep', '1000'], { network: {} }), process: program }
  const node = spawn(process.execPath, nodeProgram(source, JSON.stringify({ spec })), {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await new Promise<Buffer>((resolve) => node.stdout.once('data', resolve)))
    .toString()
    .split('\n')
  const { port, pid } = JSON.parse(line ?? '')
  node.kill('SIGKILL')
  await text(node.stdout)
  await eventually(() => !isAlive(pid))
  await expect(exchange(port, '')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('escape: the way to init and the monitor cannot be found, copied or spoken to from inside', async () => {
  const attempts = perl(`
    for my $fd (0 .. 64) {
      readlink("/proc/1/fd/$fd") and say "saw $fd of PID 1";
      open(my $file, '+<', "/proc/1/fd/$fd") and say "opened $fd of PID 1";
    }
    my $pidfd = syscall(434, 1, 0);
    die 'no pidfd' if $pidfd < 0;
    for my $fd (0 .. 64) { syscall(438, $pidfd, $fd, 0) >= 0 and say "copied $fd of PID 1" }
    # unix sockets by name: ours are pairs, and have none
    open(my $list, '<', '/proc/net/unix') or die $!;
    my @sockets = <$list>;
    say scalar(@sockets) - 1, ' unix sockets';
    syscall(101, 16, 1, 0, 0) == 0 and say 'traced PID 1';
    kill 'KILL', 1;
    kill 'STOP', 1;
    kill 'USR1', 1 and say 'signals are allowed';
    # and init's limits can be lowered from inside: it harms the container alone
    my $limit = pack 'QQ', 0, 0;
    say 'limited: ', syscall(302, 1, 7, $limit, 0);
    sleep 1000`)
  const box = await start(['/bin/bash', '-c', 'trap "" USR1; exec "$@"', 'bash', ...attempts], {
    process: { seccomp: ALLOW_ALL },
  })
  let said = ''
  box.stdout?.on('data', (chunk) => {
    said += chunk
  })
  await eventually(() => said.includes('limited'))
  expect(said).toBe('0 unix sockets\nsignals are allowed\nlimited: 0\n')
  // its network is out of order now, which is told; the rest works as before
  await expect(box.network.connect({ port: 80 })).rejects.toMatchObject({ code: 'EMFILE' })
  await expect(box.network.connect({ port: 80 })).rejects.toMatchObject({ code: 'EMFILE' })
  const before = await box.usage()
  await new Promise((resolve) => setTimeout(resolve, 500))
  const after = await box.usage()
  expect(after.userMs + after.systemMs - before.userMs - before.systemMs).toBeLessThan(250)
  box.kill('SIGTERM')
  expect(await box.wait()).toMatchObject({ signal: 'SIGTERM' })
})

test('a hundred containers with published ports and connections leave nothing', async () => {
  const fds = () => readdirSync('/proc/self/fd').length
  const once = async () => {
    const box = await launchNetworked(['cat'], { network: { listen: [{ port: 80 }] } })
    const { port } = await box.network.publish(80)
    await box.network.listeners[0]?.serve(createServer((socket) => socket.end('hello')))
    expect(await exchange(port, '')).toBe('hello')
    box.stdin?.end()
    box.stdout?.resume()
    await box.wait()
    return box.monitorPid
  }
  await once()
  const before = fds()
  const monitors: number[] = []
  for (let i = 0; i < 100; i++) monitors.push(await once())
  await eventually(() => fds() <= before && !monitors.some(isAlive))
})

test('in a joined network sockets are made where the other container is', async () => {
  const other = await start(counter)
  await firstLine(other)
  const children = readFileSync(`/proc/${other.pid}/task/${other.pid}/children`, 'latin1')
  const namespace = (name: string) => `/proc/${children.trim()}/ns/${name}`
  const { process } = containerSpec(['sleep', '1000'])
  const spec: LaunchSpec = {
    namespaces: [],
    joinNamespaces: { user: namespace('user'), network: namespace('net') },
    network: { listen: [{ port: 81 }] },
    mounts: [],
    maskedPaths: [],
    readonlyPaths: [],
    process,
  }
  const joined = await launch(spec, { stdio: ['ignore', 'ignore', 2] })
  boxes.push(joined)
  const { port } = await joined.network.publish(80)
  expect(await exchange(port, 'hello')).toBe('5 bytes')
  await joined.network.listeners[0]?.serve(createServer((socket) => socket.end('from outside')))
  expect(await text(await other.network.connect({ port: 81 }))).toBe('from outside')
})
