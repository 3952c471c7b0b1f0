import { once } from 'node:events'
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { canCreateUserNamespace, requires, requiresProgram } from '@cromwell/test-support'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { landlock } from '../landlock.ts'
import { probe } from '../probe/probe.ts'
import type { Policy } from './policy.ts'
import { type Sandbox, sandbox } from './sandbox.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

async function open(policy: Policy): Promise<Sandbox> {
  const box = await sandbox(policy)
  onTestFinished(() => box.close())
  return box
}

const shell = (script: string) => ['/bin/sh', ['-c', script]] as const

describe('limits', () => {
  test('a program that takes too long is ended, and the result says that it was that', async () => {
    const box = await open({ limits: { wall: '200ms' } })
    const result = await box.run('sleep', ['100'])
    expect(result).toMatchObject({ ok: false, reason: 'wall', signal: 'SIGKILL' })
    expect(result.usage.wallMs).toBeGreaterThanOrEqual(200)
    expect(result.policy.limits.wall).toMatchObject({ enforcedBy: 'monitor', limit: 200 })
  })

  test('a program that takes too much memory is ended, whoever holds the limit', async () => {
    const box = await open({ limits: { memory: '64M' } })
    const script = 'const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1))'
    const result = await box.run('node', ['-e', script])
    expect(result).toMatchObject({ ok: false, reason: 'memory' })
    expect(result.policy.limits.memory?.enforcedBy).toEqual(expect.any(String))
  })

  test('a program that prints too much is ended, and what it was allowed is delivered', async () => {
    const box = await open({ limits: { output: '10K' } })
    const result = await box.run(...shell('head -c 1000000 /dev/zero'))
    expect(result).toMatchObject({ ok: false, reason: 'output' })
    expect(result.stdout).toHaveLength(10_240)
  })

  test('each limit that is met is an event', async () => {
    const box = await open({ limits: { wall: '100ms' } })
    const child = box.spawn('sleep', ['100'])
    const [limit] = await once(child, 'limit')
    expect(limit).toBe('wall')
    expect((await child.result).reason).toBe('wall')
  })

  test.each([
    [{ memory: 'much' }, '/limits/memory'],
    [{ wall: '5' }, '/limits/wall'],
    [{ memory: '1G', ram: 1 }, '/limits/ram'],
  ])('what is no limit is refused: %j', async (limits, pointer) => {
    const refused = sandbox({ limits } as Policy)
    await expect(refused).rejects.toMatchObject({ name: 'PolicyError', pointer })
  })
})

describe('a proxied network', () => {
  /** A server on the host that says what it was asked. */
  async function host(): Promise<number> {
    const server = createServer((request, response) => response.end(`seen ${request.url}`))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    // listening on TCP, it has an address of this type
    return (server.address() as AddressInfo).port
  }

  const get = (url: string) =>
    `require('http').get({ host: '127.0.0.1', port: 63128, path: '${url}', headers: { host: 'x' } }, (r) => { process.stdout.write(r.statusCode + ' '); r.pipe(process.stdout) })`

  test('reaches what it is allowed, and nothing else; refusals are events and in the result', async () => {
    const port = await host()
    const asked: string[] = []
    const box = await open({
      net: {
        mode: 'proxied',
        allow: ['api.test'],
        lookup: async () => ['127.0.0.1'],
        privateAddresses: ['127.0.0.0/8'],
        onRequest: ({ host }) => {
          asked.push(host)
          return host === 'asked.test' ? { action: 'allow', privateAddresses: true } : 'deny'
        },
      },
    })
    const run = (name: string) => box.run('node', ['-e', get(`http://${name}:${port}/path`)])
    // a pattern without a port is for the usual ones
    const other = await run('other.test')
    expect(other.stdout).toMatch(/^403 /)
    expect(other.violations).toMatchObject([{ kind: 'net', host: 'other.test', port }])
    expect((await run('asked.test')).stdout).toBe('200 seen /path')
    expect(asked).toEqual(['other.test', 'asked.test'])
  })

  test('has no way around the proxy', async () => {
    const port = await host()
    const box = await open({ net: { mode: 'proxied', allow: ['*'] } })
    const direct = `require('net').connect(${port}, '127.0.0.1').on('error', (e) => console.log(e.code))`
    expect((await box.run('node', ['-e', direct])).stdout).toBe('ECONNREFUSED\n')
  })

  test('patterns that make no sense are refused before anything runs', async () => {
    const refused = sandbox({ net: { mode: 'proxied', allow: ['http://x/'] } })
    await expect(refused).rejects.toMatchObject({ name: 'PolicyError' })
  })
})

test('a system call is decided in TypeScript', async () => {
  const seen: string[] = []
  const box = await open({
    seccomp: {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_NOTIFY' }],
    },
    onSyscall: ({ syscall }) => {
      seen.push(syscall)
      return { errno: 'EDQUOT' }
    },
  })
  const { stderr } = await box.run('mkdir', ['/tmp/x'])
  expect(stderr).toContain('quota')
  expect(seen).toEqual([expect.stringMatching(/^mkdir/)])
})

test('apt-get’s kind of chown works with one id, when roots are emulated', async () => {
  const script = 'touch /tmp/x && chown 33:33 /tmp/x && echo done'
  expect((await (await open({})).run(...shell(script))).ok).toBe(false)
  const box = await open({ rootEmulation: true })
  expect(await box.run(...shell(script))).toMatchObject({ stdout: 'done\n' })
})

test('without namespaces, Landlock keeps the policy, and what it cannot keep is refused', async (context) => {
  requires(context, 'landlock', landlock.abi() >= 6, 'an older Landlock')
  const top = realpathSync(mkdtempSync('/var/tmp/cromwell-landlock-'))
  onTestFinished(() => rmSync(top, { recursive: true }))
  writeFileSync(join(top, 'file'), 'content')
  const script = `cat ${top}/file; echo x > ${top}/new; ls /home`
  const box = await open({ preset: 'landlock', files: { readOnly: [top] } })
  const { stdout, stderr, policy } = await box.run(...shell(script))
  expect(stdout).toBe('content')
  expect(stderr.match(/Permission denied/g)?.length).toBeGreaterThanOrEqual(2)
  expect(policy).toMatchObject({ namespaces: [], ids: 'none', network: 'host' })
  expect(policy.degraded).toEqual(['net.udp'])
  const refused = (policy: Policy) =>
    sandbox({ isolation: 'landlock', ...policy }).catch((error: unknown) => error)
  expect(await refused({})).toMatchObject({ name: 'UnsupportedError', missing: ['net.udp'] })
  const hidden = { readOnly: [top], hide: [join(top, 'file')] }
  expect(await refused({ net: { mode: 'host' }, files: hidden })).toMatchObject({
    name: 'PolicyError',
    pointer: '/files/hide/0',
  })
})

test('slirp4netns carries packets, answers for names, and keeps the host’s loopback out', async (context) => {
  requiresProgram(context, 'slirp4netns')
  const { facilities } = await probe()
  requires(context, 'tun', facilities.tun?.ok === true, '/dev/net/tun is not for this user')
  const box = await open({ net: { mode: 'slirp4netns' } })
  const { stdout } = await box.run(
    ...shell('cat /etc/resolv.conf; ls /sys 2>/dev/null; cut -d: -f1 /proc/net/dev'),
  )
  expect(stdout).toContain('nameserver 10.0.2.3')
  expect(stdout).toContain('tap0')
})
