import { existsSync, readFileSync } from 'node:fs'
import { requires } from '@cromwell/test-support'
import { expect, test } from 'vitest'
import {
  CAPABILITIES,
  DEFAULT_CAPABILITIES,
  DEFAULT_MASKED_PATHS,
  DEFAULT_READONLY_PATHS,
} from './defaults.ts'

test('capability numbers are those of this machine’s kernel headers', (context) => {
  const path = '/usr/include/linux/capability.h'
  requires(context, 'linux-libc-dev', existsSync(path), `there is no ${path}`)
  const header = readFileSync(path, 'utf8')
  const found = [...header.matchAll(/^#define (CAP_[A-Z_]+)\s+(\d+)\s*$/gm)]
  const defined = Object.fromEntries(found.map(([, name, bit]) => [name, Number(bit)]))
  expect(CAPABILITIES).toMatchObject(defined)
})

test('capability numbers have no gaps', () => {
  expect(Object.values(CAPABILITIES)).toEqual(Object.keys(CAPABILITIES).map((_, index) => index))
})

test('the default set is the one whose mask podman shows as CapEff', () => {
  const mask = DEFAULT_CAPABILITIES.reduce(
    (bits, name) => bits | (1n << BigInt(CAPABILITIES[name])),
    0n,
  )
  expect(mask).toBe(0x800405fbn)
})

test('masked and read-only paths are absolute, sorted, and never both', () => {
  const paths = [...DEFAULT_MASKED_PATHS, ...DEFAULT_READONLY_PATHS]
  expect(new Set(paths).size).toBe(paths.length)
  for (const path of paths) expect(path).toMatch(/^\/(proc|sys)\/[a-z_/-]+$/)
  expect([...DEFAULT_MASKED_PATHS].sort()).toEqual(DEFAULT_MASKED_PATHS)
})
