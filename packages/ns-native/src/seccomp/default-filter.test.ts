import { expect, test } from 'vitest'
import { compileSeccomp } from './compile.ts'
import { defaultSeccomp } from './default-filter.ts'
import { defaultSeccompProfile } from './default-profile.ts'

test('the compiled filters are those of the profile (else: node dev/compile-default-seccomp.mjs)', () => {
  for (const arch of ['x64', 'arm64'] as const) {
    for (const options of [{}, { allowNestedNamespaces: true }]) {
      const { program } = compileSeccomp(defaultSeccompProfile(arch, options), { arch })
      expect(defaultSeccomp(arch, options)).toEqual(program)
    }
  }
})

test('the same array comes back every time', () => {
  expect(defaultSeccomp('x64')).toBe(defaultSeccomp('x64', { allowNestedNamespaces: false }))
  expect(defaultSeccomp('x64')).not.toBe(defaultSeccomp('x64', { allowNestedNamespaces: true }))
})

test('the machine’s own architecture is the default', () => {
  expect(defaultSeccomp()).toBe(defaultSeccomp(process.arch === 'arm64' ? 'arm64' : 'x64'))
})
