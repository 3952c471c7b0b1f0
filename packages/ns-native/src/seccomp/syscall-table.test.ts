import { spawnSync } from 'node:child_process'
import { requiresProgram } from '@cromwell/test-support'
import { expect, test } from 'vitest'
import { isSyscallName, syscallNumbers } from './syscall-table.ts'

test('no two names of an architecture share a number', () => {
  for (const arch of ['x64', 'arm64'] as const) {
    const numbers = [...syscallNumbers(arch).values()]
    expect(new Set(numbers).size).toBe(numbers.length)
    for (const number of numbers) expect(number).toBeLessThan(512)
  }
})

test('from 424 on the numbers are the same everywhere', () => {
  for (const [name, number] of syscallNumbers('x64')) {
    if (number >= 424) expect([name, syscallNumbers('arm64').get(name)]).toEqual([name, number])
  }
})

test('names exist when any architecture has them', () => {
  expect(isSyscallName('open')).toBe(true)
  expect(syscallNumbers('arm64').has('open')).toBe(false)
  expect(isSyscallName('opne')).toBe(false)
})

test('the numbers are those of this machine’s kernel headers', (context) => {
  const compiler = requiresProgram(context, 'cc')
  const arch = process.arch === 'arm64' ? 'arm64' : 'x64'
  const input = '#include <asm/unistd.h>\n'
  const { stdout } = spawnSync(compiler, ['-dM', '-E', '-'], { input, encoding: 'utf8' })
  const defined = [...stdout.matchAll(/^#define __NR_(\w+) (\d+)$/gm)]
    .filter(([, name]) => name !== 'syscalls' && name !== 'arch_specific_syscall')
    .map(([, name, number]) => [name, Number(number)])
  expect(defined.length).toBeGreaterThan(200)
  expect(Object.fromEntries(syscallNumbers(arch))).toMatchObject(Object.fromEntries(defined))
})
