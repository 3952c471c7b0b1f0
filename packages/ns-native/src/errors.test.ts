import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { ExecError, NamespaceError, PolicyError, SetupError, UnsupportedError } from './errors.ts'

const setup = new SetupError('cannot map user ids', {
  step: 'idmap.uid',
  syscall: 'write',
  errno: 1,
  path: undefined,
  hint: 'ask root',
  cause: new TypeError('because'),
})

test('each kind has its class, its name and its code', () => {
  const errors = [
    [setup, SetupError, 'ERR_NS_SETUP'],
    [new ExecError('x'), ExecError, 'ERR_NS_EXEC'],
    [new PolicyError('x', { pointer: '/net' }), PolicyError, 'ERR_NS_POLICY'],
    [new PolicyError('x', { pointer: '/root' }, 'ERR_NS_SPEC'), PolicyError, 'ERR_NS_SPEC'],
    [new UnsupportedError('x', { missing: ['tun'] }), UnsupportedError, 'ERR_NS_UNSUPPORTED'],
  ] as const
  for (const [error, kind, code] of errors) {
    expect(error).toBeInstanceOf(kind)
    expect(error).toBeInstanceOf(NamespaceError)
    expect(error.code).toBe(code)
    expect(error.name).toBe(kind.name)
    expect(error.stack).toMatch(new RegExp(`^${kind.name}: `))
  }
})

test('what is not known is not there: neither undefined fields nor a name in what is printed', () => {
  expect(Object.keys(setup)).toEqual(['code', 'step', 'syscall', 'errno', 'hint'])
  expect(inspect(setup)).not.toMatch(/undefined|name:/)
})

test('an error in JSON says all that it knows', () => {
  expect(JSON.parse(JSON.stringify(setup))).toEqual({
    name: 'SetupError',
    message: 'cannot map user ids',
    code: 'ERR_NS_SETUP',
    step: 'idmap.uid',
    syscall: 'write',
    errno: 1,
    hint: 'ask root',
    cause: 'TypeError: because',
  })
})

test('remedy and hint are two names of one thing', () => {
  expect(setup.remedy).toBe('ask root')
  expect(new ExecError('x').remedy).toBeUndefined()
})

test('what has a class of its own is nowhere thrown as the bare one', () => {
  const directory = import.meta.dirname
  const bare = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.includes('.test.') && name !== 'errors.ts')
    .filter((name) =>
      /new NamespaceError\(\s*'ERR_NS_(SETUP|EXEC|SPEC|POLICY|UNSUPPORTED)'/.test(
        readFileSync(join(directory, name), 'utf8'),
      ),
    )
  expect(bare).toEqual([])
})
