import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { which } from '@cromwell/test-support'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createRegistryClient } from '../client/registry-client.ts'
import { openImageLayout } from '../layout/image-layout.ts'
import {
  createTestRegistry,
  file,
  makeImage,
  makeLayer,
  type TestRegistry,
} from '../testing/index.ts'
import { pull } from './pull.ts'

const run = promisify(execFile)
const TRIES = Number(process.env['CROMWELL_TEST_KILLS'] ?? 25)
const root = fileURLToPath(new URL('../..', import.meta.url))
/** Pulls what its arguments name, and says when it begins. */
const PROGRAM = `
import { createRegistryClient, openImageLayout, pull } from '@cromwell/registry'
const [reference, directory] = process.argv.slice(2)
const client = createRegistryClient()
await client.ping(reference.split('/')[0])
console.log('begins')
await pull(reference, openImageLayout(directory), { client })
await client.close()
`

let registry: TestRegistry
let directory: string
let program: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cromwell-killed-'))
  // inside the package, whose own name then resolves to what was built
  program = join(root, `.killed-${process.pid}.mjs`)
  await writeFile(program, PROGRAM)
  registry = await createTestRegistry()
})

afterEach(async () => {
  await registry.close()
  await rm(program, { force: true })
  await rm(directory, { recursive: true, force: true })
})

const layers = [1, 2, 3, 4].map((n) =>
  makeLayer({ [`data${n}`]: file(randomBytes(1_500_000)) }, { compression: 'none' }),
)

/** A pull in another process; with `killAfterMs`, one that is killed so long after it has begun. */
async function pullElsewhere(layout: string, killAfterMs?: number): Promise<number> {
  const child = spawn(process.execPath, [program, `${registry.host}/app:1`, layout], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  await once(child.stdout, 'data')
  const start = performance.now()
  if (killAfterMs !== undefined) {
    await sleep(killAfterMs)
    child.kill('SIGKILL')
  }
  await ended
  return performance.now() - start
}

function slowly(): void {
  registry.clearFaults()
  registry.addFault({ on: 'blob', type: 'drip', bytes: 64 * 1024, everyMs: 2, times: 100 })
}

/** How many bytes of a layer are in the layout, proven or not. */
function present(layout: string, digest: string): number {
  const blob = join(layout, 'blobs', digest.replace(':', '/'))
  const partial = join(layout, 'partial', digest.replace(':', '-'))
  return [blob, partial].map((path) => (existsSync(path) ? statSync(path).size : 0)).reduce(max)
}

const max = (a: number, b: number) => Math.max(a, b)

it(`a pull killed at any of ${TRIES} instants leaves a whole layout, and the next one fetches what is missing`, async () => {
  registry.addImage('app:1', makeImage({ layers }))
  const skopeo = which('skopeo')
  slowly()
  const duration = await pullElsewhere(join(directory, 'undisturbed'))
  let interrupted = 0
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const path = join(directory, String(attempt))
    const layout = openImageLayout(path)
    slowly()
    await pullElsewhere(path, Math.random() * duration)
    registry.clearFaults()
    const before = layers.map(({ digest }) => present(path, digest))
    if (before.some((bytes, at) => bytes > 0 && bytes < (layers[at]?.size ?? 0))) interrupted += 1
    if (existsSync(join(path, 'index.json'))) expect((await layout.verify()).problems).toEqual([])

    registry.requests.length = 0
    const client = createRegistryClient()
    await pull(`${registry.host}/app:1`, layout, { client })
    await client.close()
    const fetched = layers.map(({ digest }) =>
      registry.requests
        .filter(({ path: asked }) => asked.includes(digest))
        .reduce((total, { sent }) => total + sent, 0),
    )
    expect(fetched).toEqual(layers.map(({ size }, at) => size - (before[at] ?? 0)))
    expect((await layout.verify()).problems).toEqual([])
    if (skopeo !== undefined) {
      const copy = `dir:${join(directory, 'copy')}`
      await run(skopeo, ['copy', '-q', `oci:${path}:${registry.host}/app:1`, copy])
    }
    await rm(path, { recursive: true })
  }
  expect(interrupted).toBeGreaterThan(0)
}, 600_000)
