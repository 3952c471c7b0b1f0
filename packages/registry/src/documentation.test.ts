import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createTestRegistry, makeImage, makeLayer, type TestRegistry } from './testing/index.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))
const README = join(root, 'README.md')
const PAGE = join(root, '../../docs/from-crane-skopeo-oras.md')

let registry: TestRegistry
let directory: string
const layer = makeLayer({ 'etc/motd': 'hello\n' })

beforeEach(async () => {
  registry = await createTestRegistry()
  for (const tag of ['1.0', '1.1', '1.2']) {
    const Labels = { 'org.opencontainers.image.source': `https://example.invalid/app/${tag}` }
    const image = makeImage({ layers: [layer], config: { Cmd: ['/bin/hi'], Labels } })
    registry.addImage(`team/app:${tag}`, image)
    registry.addImage(`other/app:${tag}`, image)
  }
  directory = await mkdtemp(join(tmpdir(), 'cromwell-documentation-'))
})

afterEach(async () => {
  await registry.close()
  await rm(directory, { recursive: true })
})

/** Runs a program as who installed the package would; localhost:5000 is the registry of these tests. */
async function output(program: string): Promise<string[]> {
  // inside the package, whose own name then resolves to what was built
  const path = join(root, `.documentation-${process.pid}.mjs`)
  await writeFile(path, program.replaceAll('localhost:5000', registry.host))
  try {
    const { stdout } = await run(process.execPath, [path], { cwd: directory })
    return stdout.trimEnd().split('\n')
  } finally {
    await rm(path, { force: true })
  }
}

async function programs(page: string): Promise<string[]> {
  const text = await readFile(page, 'utf8')
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code = '']) => code)
}

// In the order of the page.
const PROGRAMS: [string, RegExp][] = [
  ['pulls', /^resolve\nresolved\nlayer-start\n(.|\n)*\ndownloaded \[ '\/bin\/hi' \] 1$/],
  ['lists tags', /^1\.0\n1\.1\n1\.2$/],
  ['reads a label', /^https:\/\/example\.invalid\/app\/1\.2 sha256:\w{3}$/],
  ['copies an image, by mounting its blobs', /^sha256: 2 0$/],
  ['attaches an SBOM', /^application\/spdx\+json$/],
  ['mirrors a repository, its common layer once', /^1\.0 2 0\n1\.1 1 1\n1\.2 1 1$/],
  ['is somebody’s test', /^true \d$/],
]

it.each(PROGRAMS.map(([name, expected], index) => ({ name, expected, index })))(
  'a program of the README $name',
  async ({ expected, index }) => {
    const program = (await programs(README))[index] ?? ''
    expect((await output(program)).join('\n')).toMatch(expected)
  },
)

it('every call that the page for users of crane, skopeo and oras names can be made as it stands', async () => {
  const [setup = ''] = await programs(PAGE)
  const rows = [...(await readFile(PAGE, 'utf8')).matchAll(/^\| [^|]*\| `([^`]+)`[^|]*\|$/gm)]
  const calls = rows.map(([, call = '']) => call)
  expect(calls.length).toBeGreaterThan(40)
  const lines = await output(`
import { createWriteStream, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { pipeline } from 'node:stream/promises'
import * as all from '@cromwell/registry'
const { ${[...new Set(`${setup} ${calls.join(' ')}`.match(/[a-zA-Z]\w+/g))].filter((word) => EXPORTED.has(word)).join(', ')} } = all
${setup}
const [layer] = (await resolveImage(client, image, hostPlatform())).manifest.layers
const otherImage = parseReference('localhost:5000/other/app:1.0')
const { digest } = await client.head(otherImage)
const blobDigest = '${registry.addBlob('other/app', Buffer.from('of no use'))}'
const [registry, username, password] = ['localhost:5000', 'user', 'secret']
writeFileSync('sbom.json', '{}')
${calls.map((call) => `{\n  ${call}\n}`).join('\n')}
await client.close()
console.log('all of it')`)
  expect(lines.at(-1)).toBe('all of it')
})

const EXPORTED = new Set(Object.keys(await import('./index.ts')))
