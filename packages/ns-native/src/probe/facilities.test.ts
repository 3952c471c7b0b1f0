import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { kernelFacilities } from './kernel-facilities.ts'
import { networkPrograms } from './network-programs.ts'
import { outerSandbox } from './outer-sandbox.ts'

const directory = mkdtempSync(join(tmpdir(), 'cromwell-facilities-'))
afterAll(() => rmSync(directory, { recursive: true }))

let files = 0
function file(text: string): string {
  const path = join(directory, String(files++))
  writeFileSync(path, text)
  return path
}

const missing = join(directory, 'missing')

test('what the kernel says that it cannot do comes with the fix', () => {
  const facilities = kernelFacilities(
    {
      actions: file('kill_process trap errno\n'),
      lsm: file('capability,yama,apparmor'),
      memfdNoexec: file('2\n'),
      tun: missing,
    },
    () => 0,
  )
  expect(facilities).toEqual([
    expect.objectContaining({ name: 'seccomp-notify', ok: false }),
    expect.objectContaining({
      name: 'landlock',
      fix: 'boot with lsm=landlock,capability,yama,apparmor',
    }),
    expect.objectContaining({ name: 'memfd', fix: 'sysctl -w vm.memfd_noexec=1' }),
    expect.objectContaining({ name: 'tun', fix: 'modprobe tun' }),
  ])
})

test('what it says that it can do is fine', () => {
  const facilities = kernelFacilities(
    {
      actions: file('kill_process user_notif errno\n'),
      lsm: file('capability,landlock\n'),
      memfdNoexec: missing,
      tun: file(''),
    },
    () => 7,
  )
  expect(facilities.map(({ ok }) => ok)).toEqual([true, true, true, true])
})

test('programs that are not installed are named with their package', () => {
  expect(networkPrograms((name) => (name === 'pasta' ? undefined : `/usr/bin/${name}`))).toEqual([
    expect.objectContaining({ name: 'pasta', ok: false, fix: 'apt-get install passt' }),
    { name: 'slirp4netns', ok: true, detail: '/usr/bin/slirp4netns' },
  ])
})

test('a container around this process is recognised by what it does', () => {
  const inDocker = outerSandbox({
    status: file('NoNewPrivs:\t1\nSeccomp:\t2\n'),
    mountinfo: file(
      '1 2 0:5 / /proc rw - proc proc rw\n3 1 0:6 /null /proc/kcore rw - devtmpfs x rw\n',
    ),
    markers: [file('')],
  })
  expect(inDocker.detail).toBe(
    'this process runs under a container, a seccomp filter, no_new_privs, a masked /proc',
  )
  const onHost = outerSandbox({
    status: file('NoNewPrivs:\t0\nSeccomp:\t0\n'),
    mountinfo: file(
      '1 2 0:5 / /proc rw - proc proc rw\n3 1 0:6 / /proc/sys/fs/binfmt_misc rw - autofs x rw\n',
    ),
    markers: [missing],
  })
  expect(onHost).toEqual({ name: 'outer-sandbox', ok: true, detail: 'none' })
})
