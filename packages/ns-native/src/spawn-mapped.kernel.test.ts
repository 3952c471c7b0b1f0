import { readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, test } from 'vitest'
import {
  collect,
  eventually,
  idMapping,
  isAlive,
  singleId,
  temporaryDirectory,
} from './container.test.fixture.ts'
import { hostIdOf } from './id-mapping.ts'
import { spawnMapped } from './spawn-mapped.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

const env = { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin' }

async function run(plan: typeof idMapping, script: string, cwd = '/') {
  const child = await spawnMapped(plan, 'sh', ['-c', script], { env, cwd })
  child.stdin.on('error', () => {}) // it may have ended without reading
  child.stdin.end('input')
  const [stdout, stderr, status] = await Promise.all([
    collect(child.stdout),
    collect(child.stderr),
    child.wait(),
  ])
  return { stdout, stderr, ...status }
}

test('a mapped process is root inside, in the caller’s world otherwise', async () => {
  const directory = temporaryDirectory()
  const { stdout, exitCode } = await run(
    singleId,
    'id -u; pwd; for n in user mnt pid net; do readlink /proc/self/ns/$n; done; cat; exit 3',
    directory,
  )
  const [uid, cwd, user, mnt, pid, net, input] = stdout.split('\n')
  expect([uid, cwd, input, exitCode]).toEqual(['0', directory, 'input', 3])
  expect(user).not.toBe(readlinkSync('/proc/self/ns/user'))
  expect([mnt, pid, net]).toEqual(
    ['mnt', 'pid', 'net'].map((n) => readlinkSync(`/proc/self/ns/${n}`)),
  )
})

test('it has all capabilities inside', async () => {
  const { stdout } = await run(
    singleId,
    'grep Cap /proc/self/status; cat /proc/sys/kernel/cap_last_cap',
  )
  const last = BigInt(stdout.trim().split('\n').at(-1) ?? 0)
  const all = ((1n << (last + 1n)) - 1n).toString(16).padStart(16, '0')
  for (const set of ['CapPrm', 'CapEff', 'CapBnd']) expect(stdout).toContain(`${set}:\t${all}`)
})

test('it can give files to the container’s ids', async (context) => {
  requires(context, 'subuid', idMapping.kind !== 'single', 'this user has one id only')
  const directory = temporaryDirectory()
  const { exitCode } = await run(idMapping, 'touch file; chown 33:34 file', directory)
  expect(exitCode).toBe(0)
  const { uid, gid } = statSync(join(directory, 'file'))
  expect(uid).toBe(hostIdOf(idMapping.uidMappings, 33))
  expect(gid).toBe(hostIdOf(idMapping.gidMappings, 34))
})

test('the identity mapping needs no namespace', async (context) => {
  requires(context, 'root', idMapping.kind === 'identity', 'this user is not root')
  const { stdout } = await run(idMapping, 'id -u; readlink /proc/self/ns/user')
  expect(stdout).toBe(`0\n${readlinkSync('/proc/self/ns/user')}\n`)
})

test('abort kills it, and it dies with its monitor', async () => {
  const controller = new AbortController()
  const options = { env, cwd: '/', signal: controller.signal }
  const child = await spawnMapped(singleId, 'sh', ['-c', 'echo $$; exec sleep 1000'], options)
  const output = collect(child.stdout)
  setTimeout(() => controller.abort(), 100)
  expect(await child.wait()).toMatchObject({ signal: 'SIGKILL' })
  const pid = Number(await output)
  expect(pid).toBeGreaterThan(0)
  await eventually(() => !isAlive(pid))
})

test('a program that does not exist is an error', async () => {
  const started = spawnMapped(singleId, 'no-such-program', [], { env, cwd: '/' })
  await expect(started).rejects.toMatchObject({ code: 'ERR_NS_EXEC', errno: 2 })
})
