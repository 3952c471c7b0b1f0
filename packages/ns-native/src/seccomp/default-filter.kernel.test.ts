import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { canCreateUserNamespace, requires, requiresProgram } from '@cromwell/test-support'
import { afterEach, beforeEach, expect, type TestContext, test } from 'vitest'
import { runScript } from '../container.test.fixture.ts'
import { CAPABILITIES } from '../defaults.ts'
import { compileSeccomp } from './compile.ts'
import { defaultSeccomp } from './default-filter.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cromwell-seccomp-'))
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

function tryCalls(context: TestContext, filter: Uint8Array): Record<string, string> {
  const compiler = requiresProgram(context, 'cc')
  const source = fileURLToPath(new URL('./try-calls.c', import.meta.url))
  const program = join(directory, 'try-calls')
  const built = spawnSync(compiler, ['-o', program, source], { encoding: 'utf8' })
  requires(context, 'cc', built.status === 0, `cannot compile ${source}: ${built.stderr}`)
  const { status, stdout, stderr } = spawnSync(program, { input: filter, encoding: 'utf8' })
  expect([status, stderr]).toEqual([0, ''])
  return Object.fromEntries(
    stdout
      .trim()
      .split('\n')
      .map((line) => /^(.*?) ((?:signal )?\d+)$/.exec(line)?.slice(1) ?? [line, '?']),
  )
}

const arch = process.arch === 'arm64' ? 'arm64' : 'x64'
const EVERYTHING = compileSeccomp({ defaultAction: 'SCMP_ACT_ALLOW' }, { arch }).program
const FOREIGN: Record<string, string> = arch === 'x64' ? { x32: '38', i386: 'signal 31' } : {}

test('the kernel takes the default filter and answers as the profile says', (context) => {
  expect(tryCalls(context, defaultSeccomp(arch))).toEqual({
    getpid: '0',
    clone3: '38',
    mount: '1',
    setns: '1',
    keyctl: '1',
    io_uring_setup: '1',
    open_by_handle_at: '1',
    TIOCSTI: '1',
    'TIOCSTI+2^32': '1',
    TIOCLINUX: '1',
    TIOCGWINSZ: '9',
    AF_ALG: '97',
    AF_VSOCK: '97',
    AF_UNIX: '0',
    'persona?': '0',
    ADDR_NO_RANDOMIZE: '1',
    'unshare(FS)': '0',
    'clone(FS|NEWUSER)': '1',
    'number 4000': '38',
    'number -1': '38',
    ...FOREIGN,
    'unshare(NEWUSER)': '1',
  })
})

test('without the profile the same calls reach the kernel', (context) => {
  expect(tryCalls(context, EVERYTHING)).toMatchObject({
    clone3: '22',
    mount: '14',
    setns: '9',
    TIOCSTI: '9',
    TIOCLINUX: '9',
    ADDR_NO_RANDOMIZE: '0',
    'clone(FS|NEWUSER)': '22',
    ...FOREIGN,
  })
})

test('in a container even root with every capability gets no namespace and no mount by it', async (context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
  const script = 'for try in "unshare -U" "unshare -m" "mount -t tmpfs x"; do $try /tmp; done; true'
  const capabilities = Object.keys(CAPABILITIES)
  const filtered = await runScript(script, { process: { capabilities, seccomp: defaultSeccomp() } })
  expect(filtered.stderr.match(/not permitted|permission denied/g)).toHaveLength(3)
  const free = await runScript(script, { process: { capabilities, seccomp: EVERYTHING } })
  expect(free.stderr).not.toMatch(/(unshare failed|mount: .*permission denied)/)
})
