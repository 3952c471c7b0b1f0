import { expect, test } from 'vitest'
import { compileSeccomp } from './compile.ts'
import { interpretSeccomp } from './interpret.ts'

const program = compileSeccomp(
  {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [{ names: ['mount'], action: 'SCMP_ACT_ERRNO', errnoRet: 13 }],
  },
  'arm64',
)

test('a call can be asked about by name or by number', () => {
  const refused = { action: 'SCMP_ACT_ERRNO', errnoRet: 13 }
  expect(interpretSeccomp(program, { arch: 'arm64', syscall: 'mount' })).toEqual(refused)
  expect(interpretSeccomp(program, { arch: 'arm64', syscall: 40 })).toEqual(refused)
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
  expect(() => inspect(Uint8Array.of(6, 0, 0, 0, 0, 0, 0x34, 0x12))).toThrow('0x12340000')
})
