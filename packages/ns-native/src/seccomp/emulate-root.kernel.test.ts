import { spawnSync } from 'node:child_process'
import { canCreateUserNamespace, requires, requiresProgram } from '@cromwell/test-support'
import { beforeEach, expect, test } from 'vitest'
import { collect, containerSpec, runSpec, singleId } from '../container.test.fixture.ts'
import { join } from '../join.ts'
import { launch } from '../launch.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
  requiresProgram(context, 'python3')
})

const EMULATED = { idMapping: singleId, process: { rootEmulation: true } } as const

/** Python that sees `libc` and a `call(name, *args)` that gives the result, or the errno's name. */
const PRELUDE = `
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    result = getattr(libc, name)(*[ctypes.c_uint32(arg) for arg in args])
    return errno.errorcode[ctypes.get_errno()] if result < 0 else result
def ids(): return (os.getresuid(), os.getresgid(), sorted(os.getgroups()))
NO = 0xffffffff
`

async function python(script: string, changes: Parameters<typeof containerSpec>[1] = EMULATED) {
  const spec = containerSpec(['python3', '-c', `${PRELUDE}\n${script}`], changes)
  const { exitCode, stdout, stderr } = await runSpec(spec)
  expect([exitCode, stderr]).toEqual([0, ''])
  return stdout.trim().split('\n')
}

test('a program that is none is told as such, however late the filter’s listener arrives', async () => {
  for (let i = 0; i < 40; i++) {
    await expect(runSpec(containerSpec(['/none'], EMULATED))).rejects.toMatchObject({
      step: 'exec',
      errno: 2,
    })
  }
})

test('a process becomes another user for good, as far as it and the kernel’s rules can tell', async () => {
  const lines = await python(`
print(ids())
os.setgroups([33, 34])
os.setresgid(33, 33, 33)
os.setresuid(1000, 1000, 1000)
print(ids(), os.getuid(), os.geteuid(), os.getgid(), os.getegid())
print(call('setuid', 0), call('seteuid', 0), call('setgid', 0), call('setresuid', NO, 0, NO))
print(call('setgroups', 0, 0), call('setreuid', 0, 0), call('setuid', 1000))`)
  expect(lines).toEqual([
    '((0, 0, 0), (0, 0, 0), [])',
    '((1000, 1000, 1000), (33, 33, 33), [33, 34]) 1000 1000 33 33',
    'EPERM EPERM EPERM EPERM',
    'EPERM EPERM 0',
  ])
})

test('who keeps capabilities when leaving root behind can still change groups, until they are dropped', async () => {
  const lines = await python(`
def prctl(*args): return libc.prctl(*[ctypes.c_ulong(arg) for arg in args])
print(prctl(8, 1, 0, 0, 0), prctl(7, 0, 0, 0, 0), prctl(8, 2, 0, 0, 0))
print(call('setresuid', 33, 33, 33), call('setresgid', 34, 34, 34), call('setresuid', 35, 35, 35))
header = (ctypes.c_uint32 * 2)(0x20080522, 0)
none = (ctypes.c_uint32 * 6)(*[0] * 6)
print(libc.capset(header, none), call('setgid', 5), call('setuid', 0), ids())`)
  expect(lines).toEqual(['0 1 -1', '0 0 0', '0 EPERM EPERM ((35, 35, 35), (34, 34, 34), [])'])
})

test('the rules of setuid and its kin are those of the kernel', async () => {
  const script = `
def fresh(*steps):
    child = os.fork()
    if child == 0:
        print([call(*step) for step in steps], os.getresuid(), os.getresgid(), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
fresh(('setuid', 5))
fresh(('setuid', NO))
fresh(('seteuid', 5), ('setuid', 6), ('setuid', 0))
fresh(('setreuid', 5, 6), ('setreuid', 6, 5), ('setuid', 6), ('setreuid', 7, NO))
fresh(('setreuid', NO, 5), ('setreuid', 5, NO), ('seteuid', 0))
fresh(('setresuid', 1, 2, 3), ('setresuid', 3, 1, 2), ('setresuid', 4, NO, NO), ('setuid', 2))
fresh(('setgid', 5), ('setregid', 6, 7), ('setresgid', 1, 2, 3))
fresh(('setresuid', NO, 5, NO), ('setgid', 9), ('setegid', 9), ('setregid', NO, 9))
fresh(('setfsuid', 5), ('setfsuid', NO), ('setresuid', 1, 1, 1), ('setfsuid', 9), ('setfsuid', NO))
fresh(('setgid', NO), ('setreuid', NO, NO), ('setresgid', NO, NO, NO))
`
  const lines = await python(script)
  expect(lines).toEqual([
    '[0] (5, 5, 5) (0, 0, 0)',
    "['EINVAL'] (0, 0, 0) (0, 0, 0)",
    "[0, 'EPERM', 0] (0, 0, 0) (0, 0, 0)",
    "[0, 0, 0, 'EPERM'] (6, 6, 5) (0, 0, 0)",
    "[0, 0, 'EPERM'] (5, 5, 5) (0, 0, 0)",
    "[0, 0, 'EPERM', 0] (3, 2, 2) (0, 0, 0)",
    '[0, 0, 0] (0, 0, 0) (1, 2, 3)',
    "[0, 'EPERM', 'EPERM', 'EPERM'] (0, 5, 0) (0, 0, 0)",
    '[0, 5, 0, 1, 1] (1, 1, 1) (0, 0, 0)',
    "['EINVAL', 0, 0] (0, 0, 0) (0, 0, 0)",
  ])
  if (process.getuid?.() !== 0) return
  // the kernel itself, with all ids
  const real = spawnSync('python3', ['-c', `${PRELUDE}\n${script}`], { encoding: 'utf8' })
  expect(lines).toEqual(real.stdout.trim().split('\n'))
})

test('children have what their parent had when it made them, also when it changed or ended since', async () => {
  const lines = await python(`
def show(name): print(name, os.getresuid(), os.getgroups(), flush=True)
release = os.pipe()
before = os.fork() # never asks before its parent changes
if before == 0:
    os.read(release[0], 1); show('before'); os._exit(0)
os.setgroups([7]); os.setresuid(5, 5, 5)
if os.fork() == 0:
    if os.fork() == 0:
        orphan = os.fork()
        if orphan == 0:
            import time; time.sleep(0.2); show('orphan')
            os.execv('/bin/sh', ['sh', '-c', 'echo exec $(id -u)'])
        os._exit(0)
    os._exit(0)
os.write(release[1], b'x'); os.waitpid(before, 0)
import time; time.sleep(0.6)`)
  expect(lines).toEqual(['before (0, 0, 0) []', 'orphan (5, 5, 5) [7]', 'exec 5'])
})

test('threads are of one mind, however many ask at once', async () => {
  const lines = await python(`
import threading
wrong = []
def watch(want, done):
    while not done.is_set():
        if os.getuid() != want: wrong.append(os.getuid())
for uid in (0, 41, 42):
    if uid: os.setresuid(uid, uid, 0)
    done = threading.Event()
    threads = [threading.Thread(target=watch, args=(uid, done)) for _ in range(8)]
    [t.start() for t in threads]
    done.wait(0.1); done.set()
    [t.join() for t in threads]
    os.setresuid(0, 0, 0)
print(len(wrong))`)
  expect(lines).toEqual(['0'])
})

test('results go to the caller’s memory, and to no other', async () => {
  const lines = await python(`
def raw(number, *args):
    result = libc.syscall(number, *args)
    return errno.errorcode[ctypes.get_errno()] if result < 0 else result
getresuid, getgroups, setgroups = ${process.arch === 'arm64' ? '148, 158, 159' : '118, 115, 116'}
a = (ctypes.c_uint32 * 3)(9, 9, 9)
at = ctypes.addressof(a)
print(raw(getresuid, ctypes.c_void_p(at), ctypes.c_void_p(at + 4), ctypes.c_void_p(at + 8)), list(a))
print(raw(getresuid, None, None, None), raw(setgroups, 3, ctypes.c_void_p(8)))
os.setgroups(range(100, 164))
print(raw(getgroups, 0, None), raw(getgroups, 63, None), raw(getgroups, -1, None), raw(getgroups, 64, ctypes.c_void_p(8)))
print(raw(setgroups, 65, ctypes.c_void_p(at)), raw(setgroups, 65537, ctypes.c_void_p(at)), len(os.getgroups()))
`)
  expect(lines).toEqual([
    '0 [0, 0, 0]',
    'EFAULT EFAULT',
    '64 EINVAL EINVAL EFAULT',
    'ENOMEM EINVAL 64',
  ])
})

test('memory that changes while the monitor reads it is read once, and the kernel never acts on it', async () => {
  const lines = await python(`
import threading, struct
a = (ctypes.c_uint32 * 2)(1, 1)
stop = threading.Event()
def flip():
    n = 1
    while not stop.is_set():
        n = 3 - n
        a[0] = n; a[1] = n
threading.Thread(target=flip).start()
odd = set()
for _ in range(300):
    libc.syscall(${process.arch === 'arm64' ? 159 : 116}, 2, ctypes.byref(a))
    groups = os.getgroups()
    if groups != os.getgroups() or not set(groups) <= {1, 2}: odd.add(tuple(groups))
stop.set()
print(odd or 'none')
status = dict(line.split(':', 1) for line in open('/proc/self/status'))
print(status['Uid'].split(), set(status['Groups'].split()) & {'1', '2'})`)
  expect(lines[0]).toBe('none')
  expect(lines[1]).toBe("['0', '0', '0', '0'] set()")
})

test('the kernel’s own credentials never change: emulation gives nothing', async () => {
  const lines = await python(`
os.setresuid(5, 5, 5)
print(open('/proc/self/status').read().split('Uid:')[1].split('\\n')[0].split())
open('/tmp/mine', 'w').close()
print(os.stat('/tmp/mine').st_uid)
try: os.kill(1, 9)
except PermissionError: pass
print(open('/proc/1/comm').read().strip())`)
  expect(lines).toEqual(["['0', '0', '0', '0']", '0', 'cromwell-init'])
})

test('who runs out of different ids gets an error, and the monitor stays as it is', async () => {
  const lines = await python(`
answers = [call('setresuid', n, 0, 0) for n in range(1, 2000)]
print(answers.count(0), set(answers))
print(call('setresuid', 5, 0, 0), os.getresuid())`)
  expect(lines).toEqual(["1023 {0, 'ENOMEM'}", '0 (5, 0, 0)'])
})

test('groups of the spec are the process’s from the start', async () => {
  const lines = await python('print(ids())', {
    ...EMULATED,
    process: { rootEmulation: true, additionalGids: [4, 27] },
  })
  expect(lines).toEqual(['((0, 0, 0), (0, 0, 0), [4, 27])'])
})

test('a program that joins the container may be played, too', async () => {
  const container = await launch(containerSpec(['sleep', '1000'], EMULATED), {
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  const script = `${PRELUDE}\nos.setresuid(5, 5, 5); print(ids())`
  const { process } = containerSpec(['python3', '-c', script], EMULATED)
  const joined = await join(container, { process }, { stdio: ['ignore', 'pipe', 2] })
  expect(await collect(joined.stdout)).toBe('((5, 5, 5), (0, 0, 0), [])\n')
  expect(await joined.wait()).toMatchObject({ exitCode: 0 })
  container.kill('SIGKILL')
  await container.wait()
})

test('files are given away, devices made, pipes are real', async () => {
  const script = `
cd /tmp && touch f && chown 33:33 f && chown -h 5 f && install -o 7 -g 7 f g && echo owned
mknod null c 1 3 && mknod sda b 8 0 && ls | tr '\\n' ' '
mknod pipe p && test -p pipe && echo piped`
  const { stdout, stderr, exitCode } = await runSpec(
    containerSpec(['/bin/sh', '-c', script], EMULATED),
  )
  expect([exitCode, stderr]).toEqual([0, ''])
  expect(stdout).toBe('owned\nf g piped\n')
})

test('without it the same calls fail, which is why it is there', async () => {
  const script = 'touch /tmp/f; chown 33 /tmp/f; python3 -c "import os; os.setuid(5)"'
  const { stderr } = await runSpec(
    containerSpec(['/bin/sh', '-c', script], { idMapping: singleId }),
  )
  expect(stderr).toMatch(/chown: .*Invalid argument/)
  expect(stderr).toMatch(/OSError: \\[Errno 22\\]|Invalid argument/)
})

test.each([
  [
    'noNewPrivileges',
    { idMapping: singleId, process: { rootEmulation: true, noNewPrivileges: false } },
  ],
  ['is for uid 0', { idMapping: singleId, process: { rootEmulation: true, uid: 5 } }],
  [
    'one user and one group',
    {
      idMapping: { ...singleId, uidMappings: [{ containerID: 0, hostID: 0, size: 2 }] },
      process: { rootEmulation: true },
    },
  ],
])('it is refused where it makes no sense: %s', async (why, changes) => {
  await expect(runSpec(containerSpec(['true'], changes))).rejects.toMatchObject({
    code: 'ERR_NS_SPEC',
    pointer: '/process/rootEmulation',
    message: expect.stringContaining(why),
  })
})
