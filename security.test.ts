import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const docs = join(import.meta.dirname, 'docs')
const text = readFileSync(join(docs, 'security.md'), 'utf8')

test('docs/security.md has every rule once', () => {
  const rules = [...text.matchAll(/^\| (\d+) \|/gm)].map(([, number]) => Number(number))
  expect(rules).toEqual(Array.from({ length: 26 }, (_, index) => index + 1))
})

test('the files that docs/security.md points to exist', () => {
  const links = [...text.matchAll(/\]\((\.\.[^)#]+)\)/g)].map(([, link = '']) => link)
  expect(links.filter((link) => !existsSync(join(docs, link)))).toEqual([])
})

test('the tests that docs/security.md names exist in the files it names', () => {
  const named = [...text.matchAll(/\]\(([^)]+\.test\.ts)\) “([^”]+)”/g)]
  expect(named.length).toBeGreaterThan(40)
  const missing = named.filter(([, link = '', title = '']) => {
    return !readFileSync(join(docs, link), 'utf8').includes(title)
  })
  expect(missing.map(([, link, title]) => `${link}: ${title}`)).toEqual([])
})
