import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { canCreateUserNamespace, requires, requiresProgram } from '@cromwell/test-support'
import { beforeEach, expect, test } from 'vitest'
import { findHelper } from './binding.ts'
import { containerSpec, singleId, temporaryDirectory } from './container.test.fixture.ts'
import { launch } from './launch.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

/** A program that runs the helper with a system call failing, each time or the given one. */
function helperWithFault(strace: string, call: string, error: string, when: string): string {
  const path = join(temporaryDirectory(), 'helper')
  const fault = `-e trace=${call} -e inject=${call}:error=${error}${when && `:when=${when}`}`
  writeFileSync(path, `#!/bin/sh\nexec ${strace} -qq -f -o /dev/null ${fault} ${findHelper()}\n`)
  chmodSync(path, 0o755)
  return path
}

const NUMBERS = { ...constants.errno, ELIBBAD: 80 }

// setuid programs do not work under a tracer: so one id, which needs none
const faults = [
  ['clone', 'ENOSPC', '1', 'clone'],
  ['socketpair', 'EMFILE', '1', 'clone'],
  ['fstatfs', 'EIO', '1', 'procfs'],
  ['write', 'EACCES', '1', 'idmap.setgroups'],
  ['write', 'EPERM', '2', 'idmap.uid'],
  ['write', 'EPERM', '3', 'idmap.gid'],
  ['setresuid', 'EPERM', '1', 'setid'],
  ['keyctl', 'EDQUOT', '1', 'keyring'],
  ['sethostname', 'EPERM', '1', 'hostname'],
  ['socket', 'EPERM', '1', 'net.lo'],
  ['mount', 'EPERM', '1', 'mnt.propagation'],
  ['mount', 'EINVAL', '2', 'root.overlay'],
  ['fsopen', 'ENOMEM', '2', 'mnt'],
  ['move_mount', 'EBUSY', '1', 'mnt'],
  ['fchdir', 'EIO', '1', 'root.pivot'],
  ['pivot_root', 'EINVAL', '1', 'root.pivot'],
  ['umount2', 'EPERM', '1', 'root.detach'],
  ['pipe2', 'ENFILE', '1', 'fork'],
  ['setresgid', 'EPERM', '1', 'setid'],
  // the monitor has capabilities to give up where it is root’s
  ['capset', 'EPERM', '1', process.getuid?.() === 0 ? 'monitor.confine' : 'caps.set'],
  ['seccomp', 'EINVAL', '1', 'seccomp'],
  ['execve', 'ELIBBAD', '1', 'exec'],
] as const

test.for(faults)(
  '%s failing with %s is told (call %s: step %s), and leaves nothing',
  async ([call, error, when, step], context) => {
    const strace = requiresProgram(context, 'strace')
    // strace counts per process; its own execve of the helper is not among what it traces
    const helperPath = helperWithFault(strace, call, error, call === 'execve' ? '2' : when)
    const garbage = temporaryDirectory()
    const spec = {
      ...containerSpec(['true']),
      idMapping: singleId,
      monitor: { removeOnExit: [garbage] },
    }
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    const descriptors = readdirSync('/proc/self/fd').length
    const outcome = launch(spec, { stdio: ['ignore', 'ignore', 'ignore'], helperPath })
    await expect(outcome).rejects.toMatchObject({
      code: step === 'exec' ? 'ERR_NS_EXEC' : 'ERR_NS_SETUP',
      step,
      errno: NUMBERS[error],
    })
    expect(existsSync(garbage)).toBe(false)
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).toBe(mounts)
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(descriptors)
  },
)
