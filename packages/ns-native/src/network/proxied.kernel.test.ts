import { createServer as createHttpServer, type IncomingMessage } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { canCreateUserNamespace, requires, which } from '@cromwell/test-support'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { ContainedProcess } from '../contained-process.ts'
import { collect, containerSpec } from '../container.test.fixture.ts'
import { launch } from '../launch.ts'
import { certificate, privateKey } from './certificate.test.fixture.ts'
import { createProxy } from './create-proxy.ts'
import type { ProxyOptions } from './gatekeeper.ts'
import { perl } from './network.test.fixture.ts'
import type { NetworkProxy } from './proxy.ts'
import { PROXY_PORT, proxyEnvironment } from './proxy-environment.ts'

const cleanUps: (() => unknown)[] = []

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp()
})

async function portOf(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUps.push(() => server.close())
  return (server.address() as AddressInfo).port
}

interface Boxed {
  box: ContainedProcess
  proxy: NetworkProxy
  output: string
}

/** Run a program whose only way out is a proxy. */
async function runProxied(args: readonly string[], options: ProxyOptions): Promise<Boxed> {
  const proxy = await createProxy(options)
  cleanUps.push(() => proxy.close())
  const env = Object.entries(proxyEnvironment()).map(([name, value]) => `${name}=${value}`)
  const spec = containerSpec(args, {
    network: { listen: [{ port: PROXY_PORT }] },
    process: { env: ['PATH=/usr/bin:/bin', 'HOME=/tmp', ...env] },
  })
  const box = await launch(spec, { stdio: ['ignore', 'pipe', 2] })
  for (const listener of box.network.listeners) await proxy.serve(listener)
  const output = await collect(box.stdout)
  await box.wait()
  return { box, proxy, output }
}

const shell = (script: string) => ['/bin/sh', '-c', script]
const greet = (request: IncomingMessage) =>
  `${request.method} ${request.headers.host}${request.url}\n`

test('http and https go out by the proxy, as the policy says, whatever time it takes', async (context) => {
  requires(context, 'curl', which('curl') !== undefined, 'no curl to try with')
  const web = await portOf(createHttpServer((request, response) => response.end(greet(request))))
  const secret = createHttpsServer({ cert: certificate, key: privateKey }, (request, response) => {
    response.end(greet(request))
  })
  const secretPort = await portOf(secret)
  const onRequest = vi.fn<NonNullable<ProxyOptions['onRequest']>>(async ({ host, protocol }) => {
    await new Promise((resolve) => setTimeout(resolve, 20))
    if (!host.endsWith('.example.test')) return 'deny'
    const port = protocol === 'http' ? web : secretPort
    return { action: 'allow', connectTo: { host: '127.0.0.1', port } }
  })
  const { proxy, output } = await runProxied(
    shell(`
      curl -sS http://api.example.test/plain
      curl -sSk https://api.example.test/secret
      curl -sSk --proxy socks5h://127.0.0.1:${PROXY_PORT} https://api.example.test/socks
      curl -sS http://evil.test/
      curl -sk https://evil.test/ || echo "curl: $?"
      curl -s --noproxy '*' https://1.1.1.1/ || echo "curl: $?"`),
    { onRequest },
  )
  expect(output.split('\n')).toEqual([
    'GET api.example.test/plain',
    'GET api.example.test/secret',
    'GET api.example.test/socks',
    "The sandbox's network: evil.test:80: the policy denies it",
    'curl: 56', // the tunnel was refused
    'curl: 7', // could not connect
    '',
  ])
  expect(
    onRequest.mock.calls.map(([{ protocol, host, port }]) => `${protocol} ${host}:${port}`),
  ).toEqual([
    'http api.example.test:80',
    'connect api.example.test:443',
    'socks api.example.test:443',
    'http evil.test:80',
    'connect evil.test:443',
  ])
  expect(proxy.violations.map(({ kind, host, port }) => `${kind} ${host}:${port}`)).toEqual([
    'net evil.test:80',
    'net evil.test:443',
  ])
  const { 'api.example.test': traffic } = proxy.traffic()
  expect(traffic?.connections).toBe(3)
  expect(traffic?.bytesReceived).toBeGreaterThan(1000) // two certificates
})

test('there is no other way out: no address, no name, no datagram, no packet', async () => {
  const { proxy, output } = await runProxied(
    perl(`
      use Socket;
      use Socket qw(getaddrinfo);
      socket(my $tcp, AF_INET, SOCK_STREAM, 0);
      connect($tcp, pack_sockaddr_in(443, inet_aton('1.1.1.1'))) or say "tcp: $!";
      socket(my $udp, AF_INET, SOCK_DGRAM, 0);
      send($udp, 'x', 0, pack_sockaddr_in(53, inet_aton('8.8.8.8'))) or say "udp: $!";
      socket(my $tcp6, AF_INET6, SOCK_STREAM, 0);
      connect($tcp6, pack_sockaddr_in6(443, Socket::inet_pton(AF_INET6, '2606:4700::1111'))) or say "tcp6: $!";
      my ($error) = getaddrinfo('example.org', 443);
      say 'name: ', $error ? 'unknown' : 'known';
      socket(my $packet, 17, SOCK_RAW, 0x0300) or say "packet: $!";
      opendir(my $interfaces, '/sys/class/net');
      say 'interfaces: ', join ' ', grep { !/^\\./ } readdir $interfaces;
    `),
    { allow: ['*:*'] },
  )
  expect(output.split('\n')).toEqual([
    'tcp: Network is unreachable',
    'udp: Network is unreachable',
    'tcp6: Network is unreachable',
    'name: unknown',
    'packet: Operation not permitted',
    'interfaces: lo',
    '',
  ])
  expect(proxy.violations).toEqual([])
})

test('services of the host are out of reach, by address and by name', async () => {
  const seen = vi.fn()
  const port = await portOf(createHttpServer(seen))
  const request = (host: string) =>
    `GET http://${host}:${port}/ HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n`
  const hosts = [
    '127.0.0.1',
    'localhost',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '0.0.0.0',
    '0x7f.1',
    'rebind.test',
  ]
  const asks = hosts.map((host) => `ask("${request(host)}");`).join('\n')
  const { proxy, output } = await runProxied(
    perl(`
      sub ask {
        my $socket = IO::Socket::INET->new('127.0.0.1:${PROXY_PORT}') or die $!;
        print $socket @_;
        my $line = <$socket>;
        say substr($line, 9, 3);
      }
      ${asks}`),
    { allow: ['*:*'], lookup: async () => ['127.0.0.1'] },
  )
  expect(output.split('\n')).toEqual([...hosts.map(() => '403'), ''])
  expect(new Set(proxy.violations.map(({ refusal }) => refusal))).toEqual(
    new Set(['private-address']),
  )
  expect(seen).not.toHaveBeenCalled()
})

test('many tunnels at once, and garbage between them, harm nobody', async () => {
  const web = await portOf(
    createHttpServer((request, response) => {
      response.end(request.url)
    }),
  )
  const { output } = await runProxied(
    perl(`
      srand(7);
      my @open;
      for my $i (1 .. 120) {
        my $socket = IO::Socket::INET->new('127.0.0.1:${PROXY_PORT}') or die $!;
        if ($i % 3) {
          print $socket "CONNECT web.test:80 HTTP/1.1\\r\\n\\r\\n";
        } else {
          my $first = ('', chr 5, 'G', chr 22, "CONNECT ")[$i % 5];
          print $socket $first, map { chr int rand 256 } 1 .. int rand 400;
        }
        push @open, [$i, $socket];
      }
      my $answers = 0;
      for my $pair (@open) {
        my ($i, $socket) = @$pair;
        next unless $i % 3;
        my $line = <$socket>;
        $line =~ /^HTTP.1.1 200/ or next;
        <$socket>;
        print $socket "GET /$i HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n";
        my $answer = join '', <$socket>;
        $answers++ if $answer =~ m{/$i$};
      }
      print $answers`),
    { onRequest: () => ({ action: 'allow', connectTo: { host: '127.0.0.1', port: web } }) },
  )
  expect(output).toBe('80')
})
