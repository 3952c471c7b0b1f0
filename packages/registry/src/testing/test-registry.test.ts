import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { requiresProgram } from '@cromwell/test-support'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  createTestRegistry,
  makeImage,
  makeIndex,
  makeLayer,
  type TestRegistryOptions,
} from './index.ts'

// A client that is not ours shows that this is a registry and not a mirror of our own ideas.
const run = promisify(execFile)
const image = makeImage({ layers: [makeLayer({ a: 'a' }), makeLayer({ b: 'b' })] })
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cromwell-test-registry-'))
})

afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

describe('createTestRegistry', () => {
  it.for<[TestRegistryOptions, 'oci' | 'docker', string[]]>([
    [{}, 'oci', []],
    [{ auth: 'token', redirectBlobs: true }, 'docker', []],
    [
      { auth: 'token', private: true, users: { ann: 'secret' } },
      'oci',
      ['--src-creds', 'ann:secret'],
    ],
    [{ auth: 'basic', users: { ann: 'secret' } }, 'docker', ['--src-creds', 'ann:secret']],
  ])('serves skopeo, with %j and %s', async ([options, format, credentials], context) => {
    const skopeo = requiresProgram(context, 'skopeo')
    const registry = await createTestRegistry(options)
    try {
      const made = makeImage({ layers: image.layers, format })
      registry.addImage('team/app:1', makeIndex([made], { format }))
      const source = `docker://${registry.host}/team/app:1`
      const target = join(directory, 'copy')
      const common = ['copy', '-q', '--src-tls-verify=false']
      await run(skopeo, [...common, ...credentials, source, `dir:${target}`])
      const manifest = await readFile(join(target, 'manifest.json'))
      expect(made.manifest.bytes.equals(manifest)).toBe(true)
      if (credentials.length > 0) {
        await expect(run(skopeo, [...common, source, `dir:${target}-2`])).rejects.toThrow(
          'unauthorized',
        )
      }
    } finally {
      await registry.close()
    }
  })

  it.for<[TestRegistryOptions, string[]]>([
    [{}, []],
    [{ auth: 'token', users: { ann: 'secret' } }, ['--dest-creds', 'ann:secret']],
    [{ auth: 'basic', users: { ann: 'secret' } }, ['--dest-creds', 'ann:secret']],
  ])('takes what skopeo pushes, with %j', async ([options, credentials], context) => {
    const skopeo = requiresProgram(context, 'skopeo')
    await using source = await createTestRegistry()
    await using target = await createTestRegistry({ ...options, data: join(directory, 'data') })
    const digest = source.addImage('team/app:1', makeIndex([image]))
    const names = [`docker://${source.host}/team/app:1`, `docker://${target.host}/copy:2`]
    const common = ['copy', '-q', '--all', '--src-tls-verify=false', '--dest-tls-verify=false']
    await run(skopeo, [...common, ...credentials, ...names])
    expect(target.manifest('copy', '2')?.descriptor.digest).toBe(digest)
    expect(target.tags('copy')).toEqual(['2'])
    for (const layer of image.layers) {
      expect(layer.blob.equals((await target.blob('copy', layer.digest)) ?? Buffer.of())).toBe(true)
    }
    expect(target.openUploads).toBe(0)
    if (credentials.length > 0) {
      await expect(run(skopeo, [...common, ...names])).rejects.toThrow('unauthorized')
    }
  })

  it('takes as many faults as it is given, in order, each as often as it says', async () => {
    const registry = await createTestRegistry({
      faults: [{ on: 'ping', type: 'status', status: 500, times: 2 }],
    })
    try {
      registry.addFault({ on: 'ping', type: 'status', status: 418 })
      const statuses = []
      for (let i = 0; i < 4; i++) statuses.push((await fetch(`http://${registry.host}/v2/`)).status)
      expect(statuses).toEqual([500, 500, 418, 200])
      registry.addFault({ on: 'ping', type: 'status', status: 500, times: 9 })
      registry.clearFaults()
      expect((await fetch(`http://${registry.host}/v2/`)).status).toBe(200)
      expect(registry.requests.map(({ status }) => status)).toEqual([500, 500, 418, 200, 200])
    } finally {
      await registry.close()
    }
  })

  it('answers ranges as RFC 9110 wants', async () => {
    const registry = await createTestRegistry()
    try {
      registry.addImage('a', image)
      const { digest, size, blob } = image.layers[0] ?? makeLayer({})
      const get = (range: string) =>
        fetch(`http://${registry.host}/v2/a/blobs/${digest}`, { headers: { range } })
      const part = await get('bytes=2-5')
      expect([part.status, part.headers.get('content-range')]).toEqual([206, `bytes 2-5/${size}`])
      expect(blob.subarray(2, 6).equals(Buffer.from(await part.arrayBuffer()))).toBe(true)
      const rest = await get('bytes=5-')
      expect(rest.headers.get('content-range')).toBe(`bytes 5-${size - 1}/${size}`)
      const beyond = await get(`bytes=${size}-`)
      expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, `bytes */${size}`])
    } finally {
      await registry.close()
    }
  })

  it('says no to what does not exist, and to clients that do not read what there is', async () => {
    const registry = await createTestRegistry()
    try {
      registry.addImage('a', image)
      const base = `http://${registry.host}/v2`
      for (const path of ['/b/manifests/latest', '/a/manifests/none', '/a/manifests/latest']) {
        expect((await fetch(`${base}${path}`)).status).toBe(404)
      }
      expect((await fetch(`${base}/a/blobs/sha256:none`)).status).toBe(404)
    } finally {
      await registry.close()
    }
  })
})
