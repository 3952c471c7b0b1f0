import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { requires } from '@cromwell/test-support'
import { expect, test } from 'vitest'
import { type LayerSource, openLayerStore } from './layer-store.ts'
import { readFileFromLayers } from './read-file.ts'
import { isRoot, temporaryDirectory } from './trees.test.fixture.ts'

const images =
  process.env['CROMWELL_TEST_IMAGES'] ?? join(import.meta.dirname, '../../../../shared/images')

interface Manifest {
  manifests?: { digest: string }[]
  config?: { digest: string }
  layers?: { digest: string; mediaType: string; size: number }[]
}

/** The layers of the first image in an OCI layout. */
function layersOf(layout: string): LayerSource[] {
  const blob = (digest: string): string => join(layout, 'blobs', digest.replace(':', '/'))
  // Test data of our own: the shapes are those of the OCI image-spec.
  const parse = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Manifest
  let manifest = parse(join(layout, 'index.json'))
  while (manifest.manifests?.[0] !== undefined) manifest = parse(blob(manifest.manifests[0].digest))
  const config = JSON.parse(readFileSync(blob(manifest.config?.digest ?? ''), 'utf8')) as {
    rootfs: { diff_ids: string[] }
  }
  return (manifest.layers ?? []).map((layer, index) => ({
    ...layer,
    diffId: config.rootfs.diff_ids[index] ?? '',
    path: blob(layer.digest),
  }))
}

const genuine = [
  { name: 'alpine', osName: 'Alpine Linux' },
  { name: 'busybox', osName: undefined },
]

test.for(genuine)(
  'the genuine $name image unpacks to what GNU tar makes of it',
  async ({ name, osName }, context) => {
    const layout = join(images, name)
    requires(
      context,
      'images',
      existsSync(layout),
      'there are no genuine images (CROMWELL_TEST_IMAGES)',
    )
    const base = temporaryDirectory()
    const layers = layersOf(layout)
    const lowerDirs = await openLayerStore(join(base, 'layers')).ensure(layers, {
      mappingKey: 'identity',
    })
    const expected = join(base, 'expected')
    mkdirSync(expected)
    for (const { path } of layers) execFileSync('tar', ['-xzpf', path, '-C', expected])
    expect(list(lowerDirs[0] ?? '')).toBe(list(expected))
    expect(readFileFromLayers(lowerDirs, '/etc/passwd')?.toString()).toContain('root:x:0:0')
    if (osName !== undefined) {
      expect(readFileFromLayers(lowerDirs, '/etc/os-release')?.toString()).toContain(osName)
    }
  },
)

/** Type, mode, owners, size, time, links and target of everything, by find(1). */
function list(directory: string): string {
  const owners = isRoot ? '%U:%G' : ''
  const format = `%P %y %m ${owners} %n %T@ %l %s\\n`
  return execFileSync(
    'sh',
    [
      '-c',
      'find "$1" ! -type d -printf "$2" -o -type d -printf "%P %y %m %T@\\n" | sort; find "$1" -type f -exec cksum {} + | sed "s# $1# #" | sort',
      'sh',
      directory,
      format,
    ],
    {
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
    },
  )
}
