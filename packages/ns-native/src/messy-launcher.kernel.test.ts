import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { canCreateUserNamespace, requires, requiresProgram } from '@cromwell/test-support'
import { beforeEach, expect, test } from 'vitest'
import { ALLOW_ALL, containerSpec, nodeProgram } from './container.test.fixture.ts'
import { CAPABILITIES, type CapabilityName } from './defaults.ts'
import { asJson, LAUNCH, packageDirectory } from './odd-host.test.fixture.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

/** Whether this process has a capability in effect, which even root may lack. */
function has(capability: CapabilityName): boolean {
  const bits = /^CapEff:\s(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  return ((BigInt(`0x${bits}`) >> BigInt(CAPABILITIES[capability])) & 1n) === 1n
}

/** What a container prints whose launcher was itself started by `prefix`, a command line. */
function launchedBy(prefix: readonly string[], script: string, before = ''): string {
  const { process: program, ...spec } = containerSpec(['/bin/sh', '-c', script])
  const inner = asJson({ ...spec, process: { ...program, seccomp: ALLOW_ALL } })
  const source = `${before}
    ${LAUNCH}; child.stdout.pipe(process.stdout); await child.wait()`
  const [command = '', ...args] = [...prefix, process.execPath, ...nodeProgram(source, inner)]
  const { stdout, stderr, error } = spawnSync(command, args, {
    cwd: packageDirectory,
    encoding: 'utf8',
  })
  expect([stderr, error]).toEqual(['', undefined])
  return stdout
}

const PROCESSORS = /^Cpus_allowed_list:\s(.*)$/m

test('rule 6: addresses are randomised though the launcher’s are not', (context) => {
  const setarch = requiresProgram(context, 'setarch')
  expect(launchedBy([setarch, '-R'], 'cat /proc/self/personality')).toBe('00000000\n')
})

test('rule 6: a launcher tied to a processor does not tie the program to it', (context) => {
  const taskset = requiresProgram(context, 'taskset')
  const all = PROCESSORS.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  const status = launchedBy([taskset, '-c', '0'], 'cat /proc/self/status')
  expect(PROCESSORS.exec(status)?.[1]).toBe(all)
})

test('rule 6: a launcher’s I/O class is not passed on', (context) => {
  const ionice = requiresProgram(context, 'ionice')
  expect(launchedBy([ionice, '-c', '3'], 'ionice')).toMatch(/^(none|best-effort)/)
  if (has('CAP_SYS_NICE'))
    expect(launchedBy([ionice, '-c', '1'], 'ionice')).toMatch(/^(none|best-effort)/)
})

test('rule 6: a raised priority of the launcher is not passed on, a lowered one is', (context) => {
  const nice = requiresProgram(context, 'nice')
  expect(launchedBy([nice, '-n', '5'], 'nice')).toBe('5\n')
  if (!has('CAP_SYS_NICE')) return // nobody without it can have a raised one
  const chrt = requiresProgram(context, 'chrt')
  expect(launchedBy([nice, '-n', '-5'], 'nice')).toBe('0\n')
  expect(launchedBy([chrt, '--rr', '1'], 'cut -d " " -f 41 /proc/self/stat')).toBe('0\n')
})

test('rule 6: a launcher’s protection from the OOM killer is not passed on', (context) => {
  const choom = requiresProgram(context, 'choom')
  expect(launchedBy([choom, '-n', '300', '--'], 'cat /proc/self/oom_score_adj')).toBe('300\n')
  if (!has('CAP_SYS_RESOURCE')) return // nobody without it can be protected
  expect(launchedBy([choom, '-n', '-500', '--'], 'cat /proc/self/oom_score_adj')).toBe('0\n')
})

test('rule 6: limits of the launcher hold, for they can only narrow', () => {
  const limited = ['/bin/sh', '-c', 'ulimit -n 512; exec "$0" "$@"']
  expect(launchedBy(limited, 'ulimit -n')).toBe('512\n')
})

test('rule 6: a deleted working directory, a closed stdin, ignored signals and an open umask do not get in', () => {
  const messy = 'umask 0; trap "" HUP INT QUIT USR1 PIPE CHLD TERM XFSZ; exec "$0" "$@" 0<&-'
  const script = 'pwd; umask; ls -l /proc/self/fd/0 | grep -o "[^ ]*$"; cat /proc/self/status'
  const leave = `const fs = await import('node:fs')
    const { launch: _ } = await import('@cromwell/ns-native')
    process.chdir(fs.mkdtempSync('/tmp/cromwell-gone-'))
    fs.rmdirSync(process.cwd())`
  const stdout = launchedBy(['/bin/sh', '-c', messy], script, leave)
  const none = '0000000000000000'
  const [cwd, mask, stdin, ...status] = stdout.trim().split('\n')
  expect([cwd, mask]).toEqual(['/', '0022'])
  expect(stdin).toMatch(/^(pipe|socket):|^\/dev\/null$/)
  const signals = status.filter((line) => /^Sig(Blk|Ign|Cgt)/.test(line))
  expect(signals).toEqual([`SigBlk:\t${none}`, `SigIgn:\t${none}`, `SigCgt:\t${none}`])
})
