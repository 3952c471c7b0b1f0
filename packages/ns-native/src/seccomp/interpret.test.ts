import { expect, test } from 'vitest'
import { encodeInstructions } from './bpf.ts'
import { compileSeccomp } from './compile.ts'
import { interpretSeccomp } from './interpret.ts'
import { runBpf } from './run-bpf.ts'

const { program } = compileSeccomp(
  {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [{ names: ['mount'], action: 'SCMP_ACT_ERRNO', errnoRet: 13 }],
  },
  { arch: 'arm64' },
)

test('a call can be asked about by name or by number', () => {
  const refused = { action: 'SCMP_ACT_ERRNO', errnoRet: 13 }
  expect(interpretSeccomp(program, { arch: 'arm64', syscall: 'mount' })).toEqual(refused)
  expect(interpretSeccomp(program, { arch: 'arm64', syscall: 40 })).toEqual(refused)
})

// A test of every instruction: assembled by hand, with the value expected of it.
const A = 0x12345678
const LOAD_A = [0x00, 0, 0, A]
const RETURN_A = [0x16, 0, 0, 0]
test.each<[string, number[][], number]>([
  ['A is what the program ends with', [LOAD_A, RETURN_A], A],
  ['ld len', [[0x80, 0, 0, 0], RETURN_A], 64],
  ['ld abs', [[0x20, 0, 0, 16], RETURN_A], 0x89abcdef],
  ['ldx imm, txa', [[0x01, 0, 0, 9], [0x87, 0, 0, 0], RETURN_A], 9],
  [
    'ldx len, tax',
    [LOAD_A, [0x81, 0, 0, 0], [0x07, 0, 0, 0], [0x00, 0, 0, 1], [0x87, 0, 0, 0], RETURN_A],
    A,
  ],
  ['st, ld mem', [LOAD_A, [0x02, 0, 0, 15], [0x00, 0, 0, 1], [0x60, 0, 0, 15], RETURN_A], A],
  [
    'stx, ldx mem',
    [[0x01, 0, 0, 7], [0x03, 0, 0, 0], [0x01, 0, 0, 1], [0x61, 0, 0, 0], [0x87, 0, 0, 0], RETURN_A],
    7,
  ],
  ['add', [LOAD_A, [0x04, 0, 0, 0xffffffff], RETURN_A], A - 1],
  ['add x', [LOAD_A, [0x01, 0, 0, 2], [0x0c, 0, 0, 0], RETURN_A], A + 2],
  ['sub', [[0x00, 0, 0, 1], [0x14, 0, 0, 2], RETURN_A], 0xffffffff],
  ['mul', [[0x00, 0, 0, 0x10001], [0x24, 0, 0, 0x10001], RETURN_A], 0x00020001],
  ['div', [LOAD_A, [0x34, 0, 0, 2], RETURN_A], A / 2],
  ['div by x = 0', [LOAD_A, [0x3c, 0, 0, 0], RETURN_A], 0],
  ['or', [LOAD_A, [0x44, 0, 0, 7], RETURN_A], A | 7],
  ['and', [LOAD_A, [0x54, 0, 0, 0xff], RETURN_A], 0x78],
  ['lsh', [LOAD_A, [0x64, 0, 0, 8], RETURN_A], 0x34567800],
  ['rsh', [LOAD_A, [0x74, 0, 0, 8], RETURN_A], 0x123456],
  ['neg', [[0x00, 0, 0, 1], [0x84, 0, 0, 0], RETURN_A], 0xffffffff],
  ['xor', [LOAD_A, [0xa4, 0, 0, 0xf], RETURN_A], A ^ 0xf],
  ['jset', [LOAD_A, [0x45, 0, 1, 8], [0x06, 0, 0, 1], [0x06, 0, 0, 2]], 1],
  ['jeq x', [LOAD_A, [0x1d, 1, 0, 0], [0x06, 0, 0, 1], [0x06, 0, 0, 2]], 1],
  [
    'ja',
    [
      [0x05, 0, 0, 1],
      [0x06, 0, 0, 1],
      [0x06, 0, 0, 2],
    ],
    2,
  ],
])('the instruction %s does what the kernel makes of it', (_, instructions, expected) => {
  const bytes = encodeInstructions(
    instructions.map(([code = 0, jt = 0, jf = 0, k = 0]) => ({ code, jt, jf, k })),
  )
  const data = new DataView(new ArrayBuffer(64))
  data.setUint32(16, 0x89abcdef, true)
  expect(runBpf(bytes, data)).toBe(expected)
})

test('values that the kernel does not know kill, and an errno has at most twelve bits', () => {
  const answer = (k: number) =>
    interpretSeccomp(encodeInstructions([{ code: 6, jt: 0, jf: 0, k }]), {
      arch: 'x64',
      syscall: 0,
    })
  expect(answer(0x12340000)).toEqual({ action: 'SCMP_ACT_KILL_PROCESS' })
  expect(answer(0x0005ffff)).toEqual({ action: 'SCMP_ACT_ERRNO', errnoRet: 4095 })
  expect(answer(0x7ff00007)).toEqual({ action: 'SCMP_ACT_TRACE', errnoRet: 7 })
})

test('a name that the architecture does not have is refused', () => {
  expect(() => interpretSeccomp(program, { arch: 'arm64', syscall: 'open' })).toThrow(
    'expected a system call of arm64 but received open',
  )
})

test('bytes that are no program are refused', () => {
  const inspect = (bytes: Uint8Array) => interpretSeccomp(bytes, { arch: 'x64', syscall: 0 })
  expect(() => inspect(new Uint8Array())).toThrow('does not return')
  expect(() => inspect(program.subarray(0, 8))).toThrow('does not return')
  expect(() => inspect(new Uint8Array(8).fill(0xff))).toThrow('received operation 65535')
})
