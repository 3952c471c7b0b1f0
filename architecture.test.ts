import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = import.meta.dirname

/** The stairs of docs/architecture.md: what each package may import of ours. Nothing else, not even types. */
const STAIRS: Record<string, readonly string[]> = {
  pidstore: [],
  'ns-native': [],
  rootfs: [],
  registry: [],
  runtime: ['ns-native', 'pidstore'],
  engine: ['registry', 'rootfs', 'runtime', 'ns-native', 'pidstore'],
  cli: ['engine', 'runtime', 'registry', 'rootfs', 'ns-native', 'pidstore'],
}

/** What each package may pull in from npm at run time. A new line here needs a page in docs/decisions/. */
const RUNTIME_DEPENDENCIES: Record<string, readonly string[]> = {
  pidstore: [],
  'ns-native': ['node-gyp-build'],
  rootfs: ['fzstd', 'tar'],
  registry: ['smol-toml', 'undici'],
  runtime: [],
  engine: [],
  cli: [],
}

/** Programs that a package starts as processes of their own: the only files below `cli` that own a process. */
const PROGRAMS = new Set([
  'packages/engine/src/unpack-worker.ts',
  'packages/ns-native/src/overlay-changes/worker.ts',
  'packages/registry/src/testing/main.ts',
])

/**
 * The one file of a library that asks where it runs: `spawn` and `sandbox` are `child_process` for
 * programs, and a relative path, `~` or a passed variable means the caller's.
 */
const SURROUNDINGS = 'packages/ns-native/src/surroundings.ts'

/** What only `cli` and {@link PROGRAMS} may do: print, exit, read the process's surroundings, catch its signals. */
const OWNS_THE_PROCESS =
  /(?<![.\w])process\.(?:(?:exit|stdout|stderr|stdin|argv|env|on|once|exitCode|abort)\b|cwd\()|\bconsole\.|\bhomedir\(/

interface SourceFile {
  package: string
  path: string
  text: string
}

/** The violations of one file, as sentences; empty when it is in order. */
function violations(file: SourceFile): string[] {
  const found: string[] = []
  const code = withoutComments(file.text)
  for (const [, specifier] of code.matchAll(
    /(?:\bfrom|\bimport|\bimport\(|\brequire\(|\bresolve\()\s*['"]([^'"]+)['"]/g,
  )) {
    const ours = specifier?.match(/^@cromwell\/([^/]+)/)?.[1]
    if (ours !== undefined && ours !== file.package && !STAIRS[file.package]?.includes(ours)) {
      found.push(`${file.path} imports @cromwell/${ours}: not below ${file.package}`)
    }
    if (
      specifier?.startsWith('.') &&
      relative(packageDirectory(file), join(root, file.path, '..', specifier)).startsWith('..')
    ) {
      found.push(`${file.path} imports ${specifier}: outside its package`)
    }
  }
  const owned = code.match(OWNS_THE_PROCESS)?.[0]
  const may = file.package === 'cli' || PROGRAMS.has(file.path) || file.path === SURROUNDINGS
  if (owned !== undefined && !may) {
    found.push(`${file.path} uses ${owned}: only cli may`)
  }
  return found
}

function packageDirectory(file: SourceFile): string {
  return join(root, 'packages', file.package)
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1')
}

function sources(): SourceFile[] {
  return Object.keys(STAIRS).flatMap((name) =>
    readdirSync(join(root, 'packages', name, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.includes('.test.'))
      .map((file) => {
        const path = join('packages', name, 'src', file)
        return { package: name, path, text: readFileSync(join(root, path), 'utf8') }
      }),
  )
}

function manifest(name: string): Record<string, Record<string, string> | undefined> {
  return JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'))
}

describe('the stairs', () => {
  it('are only ever walked down, and only cli prints, exits or looks around', () => {
    expect(sources().flatMap(violations)).toEqual([])
  })

  it.each([
    ['an import upwards', 'runtime', `import { x } from '@cromwell/engine'`],
    ['an import sideways', 'registry', `import type { x } from '@cromwell/rootfs'`],
    ['a lazy import upwards', 'pidstore', `await import('@cromwell/cli')`],
    [
      'a relative import into another package',
      'rootfs',
      `import { x } from '../../registry/src/x.ts'`,
    ],
    ['printing', 'engine', `console.log('hello')`],
    ['exiting', 'runtime', `process.exit(1)`],
    ['reading the environment', 'registry', `const home = process.env['HOME']`],
    ['a signal handler', 'ns-native', `process.once('SIGINT', stop)`],
  ])('would notice %s', (_what, name, text) => {
    const file = { package: name, path: `packages/${name}/src/x.ts`, text }
    expect(violations(file)).toHaveLength(1)
  })
})

describe('the manifests', () => {
  it.each(Object.keys(STAIRS))(
    '%s depends at run time on what was decided, and nothing else',
    (name) => {
      const dependencies = Object.keys(manifest(name)['dependencies'] ?? {})
      const foreign = dependencies.filter((dependency) => !dependency.startsWith('@cromwell/'))
      expect(foreign).toEqual(RUNTIME_DEPENDENCIES[name])
      const ours = dependencies.filter((dependency) => !foreign.includes(dependency))
      for (const dependency of ours) expect(STAIRS[name]).toContain(dependency.split('/')[1])
    },
  )

  it.each(Object.keys(STAIRS))('%s runs nothing at install time', (name) => {
    const { scripts = {} } = manifest(name)
    for (const hook of ['preinstall', 'install', 'postinstall', 'prepare']) {
      expect(scripts).not.toHaveProperty(hook)
    }
  })

  it('ns-native tells npm not to compile it, so that no compiler is needed', () => {
    expect(manifest('ns-native')['gypfile']).toBe(false)
  })

  it.each(Object.keys(STAIRS))('%s says which Node versions it runs on', (name) => {
    expect(manifest(name)['engines']).toEqual({ node: '>=20.19' })
  })
})

describe('the error codes', () => {
  const page = readFileSync(join(root, 'docs', 'errors.md'), 'utf8')
  const documented = new Set(page.match(/\bERR_[A-Z0-9_]+\b/g))
  const thrown = new Set(
    sources()
      .filter((file) => /errors\.ts$/.test(file.path))
      .flatMap((file) => withoutComments(file.text).match(/(?<=')ERR_[A-Z0-9_]+(?=')/g) ?? []),
  )

  it('are all in docs/errors.md', () => {
    expect([...thrown].filter((code) => !documented.has(code))).toEqual([])
  })

  it('in docs/errors.md all exist', () => {
    expect([...documented].filter((code) => !thrown.has(code))).toEqual([])
  })
})
