import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  claimName,
  claimRandomName,
  findByName,
  readNamesById,
  releaseName,
} from './container-name.ts'
import { type Home, homePaths } from './home.ts'
import { randomName } from './random-name.ts'

let home: Home

beforeEach(() => {
  home = homePaths(mkdtempSync(join(tmpdir(), 'cromwell-names-')))
})
afterEach(() => rmSync(home.directory, { recursive: true }))

test('a name is a symbolic link to the id', () => {
  makeContainer('aaa')
  claimName(home, 'web', 'aaa')
  expect(readlinkSync(join(home.names, 'web'))).toBe('aaa')
  expect(findByName(home, 'web')).toBe('aaa')
  expect(readNamesById(home)).toEqual(new Map([['aaa', 'web']]))
})

test('a name that is taken is refused, and the error says by whom', () => {
  makeContainer('aaa')
  makeContainer('bbb')
  claimName(home, 'web', 'aaa')
  expect(() => claimName(home, 'web', 'bbb')).toThrow(
    expect.objectContaining({ code: 'ERR_ENGINE_NAME_TAKEN', holder: 'aaa' }),
  )
})

test('the name of a container that is gone is taken over', () => {
  claimName(home, 'web', 'ghost')
  makeContainer('bbb')
  claimName(home, 'web', 'bbb')
  expect(findByName(home, 'web')).toBe('bbb')
  expect(readdirSync(home.names)).toEqual(['web'])
})

test('something else in the place of a name is replaced', () => {
  mkdirSync(home.names)
  writeFileSync(join(home.names, 'web'), '')
  makeContainer('aaa')
  claimName(home, 'web', 'aaa')
  expect(findByName(home, 'web')).toBe('aaa')
})

test('a name is given back only by its holder', () => {
  claimName(home, 'web', 'aaa')
  releaseName(home, 'web', 'bbb')
  expect(findByName(home, 'web')).toBe('aaa')
  releaseName(home, 'web', 'aaa')
  releaseName(home, 'web', 'aaa')
  expect(findByName(home, 'web')).toBeUndefined()
})

test.each([
  '',
  'a',
  '-ab',
  '.ab',
  '_ab',
  'a b',
  'a/b',
  '../ab',
  'a\n',
  'ä'.repeat(3),
  'a'.repeat(129),
])('the name %j is refused', (name) => {
  expect(() => claimName(home, name, 'aaa')).toThrow(
    expect.objectContaining({ code: 'ERR_ENGINE_NAME' }),
  )
  expect(findByName(home, name)).toBeUndefined()
})

test('random names are well-formed, and one that is taken leads to another', () => {
  for (let i = 0; i < 200; i++) expect(randomName()).toMatch(/^[a-z]+_[a-z]+$/)
  makeContainer('aaa')
  const name = claimRandomName(home, 'aaa')
  expect(findByName(home, name)).toBe('aaa')
})

function makeContainer(id: string): void {
  mkdirSync(join(home.containers, id), { recursive: true })
}
