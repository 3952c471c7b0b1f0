import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))

describe('the package', () => {
  it('depends on undici and a parser of TOML, and nothing else', async () => {
    const manifest = JSON.parse(await readFile(`${root}/package.json`, 'utf8'))
    expect(Object.keys(manifest.dependencies)).toEqual(['smol-toml', 'undici'])
  })

  it.each(['', '/reference', '/platform', '/layout', '/testing'])(
    'does not load undici when @cromwell/registry%s is imported',
    async (subpath) => {
      const script = `
        import { createRequire } from 'node:module'
        import '@cromwell/registry${subpath}'
        const loaded = Object.keys(createRequire(process.cwd() + '/x.js').cache)
        console.log(loaded.filter((path) => path.includes('undici')).length)`
      const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], {
        cwd: root,
      })
      expect(stdout).toBe('0\n')
    },
  )

  it('would notice undici, were it loaded', async () => {
    const script = `
      import { createRequire } from 'node:module'
      import { createRegistryClient } from '@cromwell/registry'
      const client = createRegistryClient()
      await client.ping('registry.invalid').catch(() => {})
      await client.close()
      const loaded = Object.keys(createRequire(process.cwd() + '/x.js').cache)
      console.log(loaded.some((path) => path.includes('undici')))`
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], {
      cwd: root,
    })
    expect(stdout).toBe('true\n')
  })

  it('has a reference parser that needs nothing of Node', async () => {
    const seen = new Set<string>()
    const visit = async (path: string): Promise<void> => {
      if (seen.has(path)) return
      seen.add(path)
      const text = await readFile(path, 'utf8')
      expect(text).not.toMatch(/^\s*[^\s*/].*(?<![.\w'"])(?:process|Buffer|require)\b[.([]/m)
      const imports = text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*['"](.*?)['"]/g)
      for (const [, specifier = ''] of imports) {
        expect(specifier).toMatch(/^\./)
        await visit(fileURLToPath(new URL(specifier, `file://${path}`)))
      }
    }
    await visit(`${root}/dist/image/reference.js`)
    expect(seen.size).toBeGreaterThan(1)
  })
})
