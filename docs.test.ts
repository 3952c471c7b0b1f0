import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = import.meta.dirname
const pages = ['.', 'docs', 'docs/decisions', 'bench', ...packageDirectories()].flatMap(
  (directory) =>
    existsSync(join(root, directory))
      ? readdirSync(join(root, directory))
          .filter((name) => name.endsWith('.md'))
          .map((name) => join(directory, name))
      : [],
)

function packageDirectories(): string[] {
  return readdirSync(join(root, 'packages')).map((name) => join('packages', name))
}

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

/** Text without what only its place in a page or file gave it. */
function lines(text: string): string[] {
  return text.split('\n').map((line) => line.trim())
}

/** Code blocks that name a file after their language, as ```` ```ts packages/x/src/y.ts ````. */
function quotations(page: string): Array<{ file: string; code: string }> {
  const blocks = read(page).matchAll(/^ *```\w+ (\S+)\n([\s\S]*?)^ *```$/gm)
  return [...blocks].map(([, file = '', code = '']) => ({ file, code }))
}

function quotes(code: string, source: string): boolean {
  const text = lines(source).join('\n')
  return code.split(/^\s*…\s*$/m).every((part) => text.includes(lines(part).join('\n').trim()))
}

describe.each(pages)('%s', (page) => {
  it('has no link into nowhere', () => {
    const links = [...read(page).matchAll(/\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)/g)]
    const targets = links.map(([, target = '']) => target)
    expect(targets.filter((target) => !existsSync(join(root, dirname(page), target)))).toEqual([])
  })

  it('quotes source that exists', () => {
    const wrong = quotations(page).filter(({ file, code }) => !quotes(code, read(file)))
    expect(wrong).toEqual([])
  })
})

it('how-run-works names only files that exist', () => {
  const files = new Set(
    readdirSync(join(root, 'packages'), { recursive: true, encoding: 'utf8' })
      .filter((path) => !path.includes('node_modules'))
      .map((path) => path.split('/').at(-1)),
  )
  for (const page of ['docs/how-run-works.md', 'docs/how-run-works.ja.md']) {
    const named = [...read(page).matchAll(/`(?:[\w-]+\/)*([\w.-]+\.(?:ts|c))`/g)]
    const missing = named.map(([, name = '']) => name).filter((name) => !files.has(name))
    expect(missing.filter((name) => name !== 'docs.test.ts')).toEqual([])
  }
})
