import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RegistryError } from '../errors.ts'
import { parseRegistriesConf, readRegistriesConf } from './registries-conf.ts'
import { parseToml } from './toml-file.ts'

const PATH = '/etc/containers/registries.conf'
const parse = async (text: string) => parseRegistriesConf(await parseToml(text, PATH))

describe('parseRegistriesConf', () => {
  it('reads rules with their mirrors, and where they stand', async () => {
    const text = `unqualified-search-registries = ["example.com"]

[[registry]]
prefix = "example.com/foo"
insecure = false
blocked = false
location = "internal.example/bar"

[[registry.mirror]]
location = "mirror-0.local/mirror-for-foo"

[[registry.mirror]]
location = "mirror-1.local/mirrors/foo"
insecure = true
pull-from-mirror = "digest-only"

[[registry]]
location = "registry.com"
`
    expect(await parse(text)).toEqual([
      {
        prefix: 'example.com/foo',
        location: 'internal.example/bar',
        insecure: false,
        blocked: false,
        mirrors: [
          {
            location: 'mirror-0.local/mirror-for-foo',
            insecure: false,
            use: 'all',
            source: `${PATH}, line 9`,
          },
          {
            location: 'mirror-1.local/mirrors/foo',
            insecure: true,
            use: 'digest-only',
            source: `${PATH}, line 12`,
          },
        ],
        source: `${PATH}, line 3`,
      },
      {
        prefix: 'registry.com',
        insecure: false,
        blocked: false,
        mirrors: [],
        source: `${PATH}, line 17`,
      },
    ])
  })

  it('makes all mirrors of a registry digest-only where it says so', async () => {
    const [rule] = await parse(
      '[[registry]]\nlocation = "a.b"\nmirror-by-digest-only = true\nmirror = [{location = "c.d"}]',
    )
    expect(rule?.mirrors).toMatchObject([{ location: 'c.d', use: 'digest-only' }])
  })

  it('takes wildcards without a location', async () => {
    expect(await parse('[[registry]]\nprefix = "*.example.com"\nblocked = true')).toMatchObject([
      { prefix: '*.example.com', blocked: true },
    ])
  })

  it('reads what version 1 called insecure and blocked', async () => {
    const text = `[registries.search]
registries = ['r1.com']
[registries.insecure]
registries = ['r3.com']
[registries.block]
registries = ['bad.com', 'r3.com']`
    expect(await parse(text)).toMatchObject([
      { prefix: 'r3.com', insecure: true, blocked: true },
      { prefix: 'bad.com', blocked: true },
    ])
  })

  it('passes over what it does not know', async () => {
    const text = `short-name-mode = "enforcing"
credential-helpers = ["x"]
future = { a = 1 }
[aliases]
"fedora" = "registry.fedoraproject.org/fedora"
[[registry]]
location = "a.b"
novelty = 1979-05-27T07:32:00Z`
    expect(await parse(text)).toMatchObject([{ prefix: 'a.b' }])
  })

  it.each([
    ['registry = 1', 'line 1: registry is not an array of tables'],
    ['[[registry]]\ninsecure = true', 'line 1: registry[0] has neither prefix nor location'],
    ['[[registry]]\nprefix = "a.b"', 'line 1: registry[0] has no location'],
    ['\n[[registry]]\nlocation = 5', 'line 3: registry[0].location is not a string'],
    ['[[registry]]\nlocation = "https://a.b"', 'line 2: registry[0].location is not HOST'],
    ['[[registry]]\nprefix = "a.*.b"\nlocation = "a.b"', 'line 2: registry[0].prefix is not'],
    ['[[registry]]\nlocation = "a.b"\ninsecure = "yes"', 'line 3: registry[0].insecure is neither'],
    ['[[registry]]\nlocation = "a.b"\n[[registry.mirror]]', 'line 3: registry[0].mirror[0] has no'],
    [
      '[[registry]]\nlocation = "a.b"\n[[registry.mirror]]\nlocation = "c.d"\npull-from-mirror = "x"',
      'line 5: registry[0].mirror[0].pull-from-mirror is not "all"',
    ],
    [
      '[[registry]]\nlocation = "a.b"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "c.d"\npull-from-mirror = "all"',
      'line 6: registry[0].mirror[0].pull-from-mirror does not go together',
    ],
    ['[[registry]]\nlocation = "a.b\n', 'line 2'],
    ['[registries.block]\nregistries = ["http://x"]', 'line 2: registries.block.registries holds'],
  ])('names file, line and key of what is wrong: %j', async (text, why) => {
    const failure = await parse(text).catch((error: unknown) => error)
    expect(failure).toMatchObject({
      code: 'ERR_REGISTRY_HOSTS',
      path: PATH,
      message: expect.stringContaining(`${PATH}, ${why}`),
    })
  })

  it('either reads a document or says what is wrong with it', async () => {
    const value = fc.oneof(
      fc.constantFrom('"a.b"', '"a.b/c"', 'true', '1', '[]', '{}', '"*.x"', '"digest-only"', '"'),
      fc.string().map((text) => JSON.stringify(text)),
    )
    const keys = ['prefix', 'location', 'insecure', 'blocked', 'mirror', 'pull-from-mirror']
    const line = fc.oneof(
      fc.constantFrom('[[registry]]', '[[registry.mirror]]', '[registry]', '[aliases]', '# x'),
      fc.tuple(fc.constantFrom(...keys), value).map(([key, text]) => `${key} = ${text}`),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 12 }), async (lines) => {
        const outcome = await parse(lines.join('\n')).catch((error: unknown) => error)
        if (outcome instanceof RegistryError) expect(outcome.code).toBe('ERR_REGISTRY_HOSTS')
        else expect(Array.isArray(outcome)).toBe(true)
      }),
    )
  })
})

describe('readRegistriesConf', () => {
  let root: string

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'cromwell-conf-'))
  })

  afterEach(() => rm(root, { recursive: true, force: true }))

  it('takes the first file, and lets drop-ins replace rules, in their order', async () => {
    await write('home/registries.conf', rule('a', 'one') + rule('a', 'unseen') + rule('b', 'one'))
    await write('etc/registries.conf', rule('c', 'unseen'))
    await write('etc.d/20.conf', rule('a', 'three'))
    await write('etc.d/10.conf', rule('a', 'two') + rule('d', 'two'))
    await write('etc.d/30.ignored', rule('a', 'unseen'))
    await write('etc.d/nested.conf/x.conf', rule('a', 'unseen'))
    await write('home.d/00.conf', rule('d', 'four'))
    const paths = (...names: string[]) => names.map((name) => join(root, name))
    const rules = await readRegistriesConf({
      files: paths('absent', 'home/registries.conf', 'etc/registries.conf'),
      directories: paths('etc.d', 'absent.d', 'home.d'),
    })
    expect(Object.fromEntries(rules.map(({ prefix, location }) => [prefix, location]))).toEqual({
      'a.example': 'three.example',
      'b.example': 'one.example',
      'd.example': 'four.example',
    })
  })

  it('is empty where there are no files', async () => {
    expect(await readRegistriesConf({ files: [join(root, 'absent')] })).toEqual([])
  })

  it('says which file cannot be read', async () => {
    const path = join(root, 'directory')
    await mkdir(path)
    await expect(readRegistriesConf({ files: [path] })).rejects.toMatchObject({
      code: 'ERR_REGISTRY_HOSTS',
      path,
      message: `cannot use ${path}: it cannot be read (EISDIR)`,
    })
  })

  function rule(prefix: string, location: string): string {
    return `[[registry]]\nprefix = "${prefix}.example"\nlocation = "${location}.example"\n`
  }

  async function write(name: string, text: string): Promise<void> {
    await mkdir(dirname(join(root, name)), { recursive: true })
    await writeFile(join(root, name), text)
  }
})
