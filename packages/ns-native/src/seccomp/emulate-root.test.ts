import { describe, expect, test } from 'vitest'
import { encodeInstructions } from './bpf.ts'
import { compileSeccomp } from './compile.ts'
import { defaultSeccomp } from './default-filter.ts'
import { emulateRoot } from './emulate-root.ts'
import { interpretSeccomp } from './interpret.ts'
import type { SeccompArch } from './profile.ts'
import { syscallNumbers } from './syscall-table.ts'

const ALLOW = 'SCMP_ACT_ALLOW'
const NO_ID = 0xffffffffn
const DONE = { action: 'SCMP_ACT_ERRNO', errnoRet: 0 }
const IDS = { uid: 0, gid: 7 }

describe.each<SeccompArch>(['x64', 'arm64'])('on %s', (arch) => {
  const program = emulateRoot(defaultSeccomp(arch), arch, IDS)
  const ask = (syscall: string, ...args: bigint[]) =>
    interpretSeccomp(program, { arch, syscall, args })
  const has = (name: string) => syscallNumbers(arch).has(name)

  test('files are given to oneself for real, to others only as far as the caller can tell', () => {
    const chowns = ['chown', 'lchown', 'fchown', 'fchownat'].filter(has)
    for (const name of chowns) {
      const chown = (uid: bigint, gid: bigint) =>
        name === 'fchownat' ? ask(name, 3n, 0n, uid, gid) : ask(name, 3n, uid, gid)
      for (const [uid, gid] of [
        [0n, 7n],
        [0n, NO_ID],
        [NO_ID, 7n],
        [NO_ID, NO_ID],
        [0n | (1n << 32n), 7n],
      ] as const)
        expect([name, chown(uid, gid).action]).toEqual([name, ALLOW])
      for (const [uid, gid] of [
        [33n, 7n],
        [0n, 33n],
        [33n, 33n],
        [NO_ID, 0n],
        [33n, NO_ID],
      ] as const)
        expect([name, chown(uid, gid)]).toEqual([name, DONE])
    }
  })

  test('devices are said to be made; files, pipes, sockets and whiteouts are made', () => {
    for (const name of ['mknod', 'mknodat'].filter(has)) {
      const mknod = (mode: number, device: bigint) =>
        name === 'mknodat'
          ? ask(name, 3n, 0n, BigInt(mode), device)
          : ask(name, 0n, BigInt(mode), device)
      expect([mknod(0o020666, 0x103n), mknod(0o060660, 0x800n)]).toEqual([DONE, DONE])
      expect(mknod(0o060660, 0n)).toEqual(DONE)
      for (const mode of [0o100644, 0o644, 0o010644, 0o140755]) {
        expect(mknod(mode, 5n).action).toBe(ALLOW)
      }
      expect(mknod(0o020000, 0n).action).toBe(ALLOW)
    }
  })

  test('who one is and becomes is asked', () => {
    for (const option of [7n, 8n]) expect(ask('prctl', option, 1n).action).toBe('SCMP_ACT_NOTIFY')
    expect(ask('prctl', 38n, 1n).action).toBe(ALLOW)
    for (const name of 'setuid setresgid setgroups getuid geteuid getresuid getgroups'.split(' ')) {
      expect([name, ask(name).action]).toEqual([name, 'SCMP_ACT_NOTIFY'])
    }
  })

  test('where the monitor remembers it nobody else writes', () => {
    const set = (resource: bigint, wanted: bigint, old = 0n) =>
      ask('prlimit64', 0n, resource, wanted, old)
    expect(set(10n, 0n, 0x7fn).action).toBe(ALLOW)
    expect(set(7n, 0x7fn).action).toBe(ALLOW)
    for (const pointer of [0x7fn, 1n << 40n]) {
      expect(set(10n, pointer)).toEqual(DONE)
      expect(set(10n, pointer, 1n << 40n)).toEqual({ action: 'SCMP_ACT_ERRNO', errnoRet: 1 })
    }
    expect(ask('setrlimit', 10n, 0x7fn)).toEqual(DONE)
    expect(ask('setrlimit', 7n, 0x7fn).action).toBe(ALLOW)
  })

  test('all other calls are answered as before', () => {
    const emulated =
      /^(l|f)?chown(at)?$|^mknod|^(get|set)(re|res|fs)?(e?[ug]id|groups)$|rlimit|^prctl$/
    for (const [name, number] of syscallNumbers(arch)) {
      if (emulated.test(name)) continue
      for (const args of [[], [0n, 0x5412n], [38n], [1n << 40n]]) {
        const call = { arch, syscall: number, args }
        expect(interpretSeccomp(program, call)).toEqual(
          interpretSeccomp(defaultSeccomp(arch), call),
        )
      }
    }
    for (const syscall of [0x40000000, 0xffffffff, 2000]) {
      const call = { arch, syscall }
      expect(interpretSeccomp(program, call)).toEqual(interpretSeccomp(defaultSeccomp(arch), call))
    }
    const foreign = { arch: 'ia32', syscall: 16 } as const
    expect(interpretSeccomp(program, foreign).action).toBe('SCMP_ACT_KILL_PROCESS')
  })
})

test('what a filter refuses stays refused', () => {
  const { program } = compileSeccomp(
    {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['fchownat', 'setuid'], action: 'SCMP_ACT_ERRNO', errnoRet: 13 }],
    },
    { arch: 'x64' },
  )
  const emulated = emulateRoot(program, 'x64', IDS)
  for (const syscall of ['fchownat', 'setuid']) {
    const verdict = interpretSeccomp(emulated, { arch: 'x64', syscall, args: [0n, 0n, 9n, 9n] })
    expect(verdict).toEqual({ action: 'SCMP_ACT_ERRNO', errnoRet: 13 })
  }
})

test('a program that returns what it has computed is extended, too', () => {
  const returnsNumber = (k: number) =>
    encodeInstructions([
      { code: 0, jt: 0, jf: 0, k },
      { code: 0x16, jt: 0, jf: 0, k: 0 },
    ])
  const ask = (k: number, syscall: string) =>
    interpretSeccomp(emulateRoot(returnsNumber(k), 'x64', IDS), { arch: 'x64', syscall }).action
  expect([ask(0x7fff0000, 'setuid'), ask(0x7fff0000, 'read')]).toEqual(['SCMP_ACT_NOTIFY', ALLOW])
  expect(ask(0x00030000, 'setuid')).toBe('SCMP_ACT_TRAP')
})

test('a filter that would become too long is refused', () => {
  const long = Array.from({ length: 4090 }, () => ({ code: 0x20, jt: 0, jf: 0, k: 0 }))
  const program = encodeInstructions([...long, { code: 6, jt: 0, jf: 0, k: 0x7fff0000 }])
  expect(() => emulateRoot(program, 'x64', IDS)).toThrow('instructions')
})
