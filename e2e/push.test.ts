import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  createTestRegistry,
  makeImage,
  makeLayer,
  type TestRegistry,
} from '@cromwell/registry/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CROMWELL, type CromwellHome, createCromwellHome } from './support/cromwell.ts'

const layers = [makeLayer({ a: randomBytes(50_000) }), makeLayer({ b: 'b' })]
const image = makeImage({ layers })
const { digest, size } = image.manifest.descriptor
const labels = layers.map((layer) => layer.digest.slice('sha256:'.length, 'sha256:'.length + 12))
let home: CromwellHome
let registry: TestRegistry
let app: string

beforeEach(async () => {
  home = createCromwellHome()
  registry = await createTestRegistry()
  registry.addImage('team/app:1', image)
  app = `${registry.host}/team/app:1`
  expect((await home.cromwell(['pull', '-q', app])).status).toBe(0)
})

afterEach(async () => {
  await home.remove()
  await registry.close()
})

describe('push', () => {
  it('brings an image to another registry and says in docker’s words what it does', async () => {
    const other = await createTestRegistry()
    try {
      const destination = `${other.host}/copies/app:2`
      const { status, stdout, stderr } = await home.cromwell(['push', app, destination])
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      const lines = stdout.trimEnd().split('\n')
      expect(lines[0]).toBe(`The push refers to repository [${other.host}/copies/app]`)
      expect(lines.at(-1)).toBe(`2: digest: ${digest} size: ${size}`)
      for (const label of labels) {
        for (const state of ['Preparing', 'Pushing', 'Pushed']) {
          expect(lines.filter((line) => line === `${label}: ${state}`)).toHaveLength(1)
        }
      }
      expect(other.manifest('copies/app', '2')?.bytes).toEqual(image.manifest.bytes)
      for (const layer of layers) {
        expect(await other.blob('copies/app', layer.digest)).toEqual(layer.blob)
      }
      const again = await home.cromwell(['push', app, destination])
      expect(again.stdout).toContain(`${labels[0]}: Layer already exists\n`)
    } finally {
      await other.close()
    }
  })

  it('pushes under a name given by tag, and mounts what the registry has', async () => {
    const name = `${registry.host}/copies/app:new`
    expect(await home.cromwell(['tag', app, name])).toMatchObject({
      status: 0,
      stdout: '',
      stderr: '',
    })
    registry.requests.length = 0
    expect(await home.cromwell(['push', '-q', name])).toMatchObject({
      status: 0,
      stdout: `${name}\n`,
    })
    expect(registry.manifest('copies/app', 'new')?.descriptor.digest).toBe(digest)
    const direct = `${registry.host}/copies/direct:1`
    expect((await home.cromwell(['push', app, direct])).stdout).toContain('Mounted from')
    expect(registry.tags('copies/direct')).toEqual(['1'])
  })

  it('goes on after a connection that breaks', async () => {
    const path = layers[0]?.digest ?? ''
    registry.addFault({ on: 'upload', method: 'PUT', path, type: 'cut-upload', afterBytes: 1000 })
    const name = `${registry.host}/copies/app:new`
    await home.cromwell(['tag', app, name])
    const { status, stdout } = await home.cromwell(['push', name])
    expect(status).toBe(0)
    expect(stdout).toMatch(/^[0-9a-f]{12}: Retrying in \d+ seconds? \(.+\)$/m)
    expect(registry.manifest('copies/app', 'new')?.descriptor.digest).toBe(digest)
  })

  it('names nothing at the registry when it is interrupted', async () => {
    registry.addFault({ on: 'upload', method: 'PUT', type: 'stall-upload', afterBytes: 1000 })
    const name = `${registry.host}/copies/app:new`
    await home.cromwell(['tag', app, name])
    const child = spawn(CROMWELL, ['push', name], {
      env: home.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      if (chunk.includes('Pushing')) child.kill('SIGINT')
    })
    expect(await once(child, 'close')).toEqual([null, 'SIGINT'])
    expect(registry.tags('copies/app') ?? []).toEqual([])
    expect((await home.cromwell(['push', '-q', name])).status).toBe(0)
  })

  it.each([
    [['push', 'nowhere.example/none:1'], 'ERR_ENGINE_IMAGE_NOT_FOUND'],
    [['tag', 'nowhere.example/none:1', 'other:1'], 'ERR_ENGINE_IMAGE_NOT_FOUND'],
    [['push'], 'cromwell push needs IMAGE'],
    [['tag', 'alpine'], 'cromwell tag needs IMAGE NAME'],
  ])('answers %j with an error', async (argv, message) => {
    const { status, stdout, stderr } = await home.cromwell(argv)
    expect({ status, stdout }).toEqual({ status: 125, stdout: '' })
    expect(stderr).toContain(message)
  })

  it('gives no name with a digest', async () => {
    const { status, stderr } = await home.cromwell(['tag', app, `other@${digest}`])
    expect(status).toBe(125)
    expect(stderr).toContain('ERR_ENGINE_OPTION')
  })
})
