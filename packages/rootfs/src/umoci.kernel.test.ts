import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { requiresProgram } from '@cromwell/test-support'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type LiteralEntry, tar } from './literal-tar.test.fixture.ts'
import { stacks } from './model.test.fixture.ts'
import { describeTree, temporaryDirectory } from './trees.test.fixture.ts'

test('umoci unpacks random stacks to the same names, types and content', (context) => {
  const umoci = requiresProgram(context, 'umoci')
  const base = temporaryDirectory()
  let compared = 0
  for (const [number, { layers, model }] of fc.sample(stacks, 60).entries()) {
    const image = join(base, `image-${number}`)
    const bundle = join(base, `bundle-${number}`)
    writeLayout(image, layers)
    if (!unpack(umoci, image, bundle)) continue
    expect(names(describeTree(bundle))).toEqual(names(model.describe()))
    compared++
  }
  expect(compared).toBeGreaterThan(45)
})

/** False when umoci stumbles over a hard link to itself, which it removes before it links. */
function unpack(umoci: string, image: string, bundle: string): boolean {
  const args = ['raw', 'unpack', '--rootless', '--image', `${image}:test`, bundle]
  const { status, stderr } = spawnSync(umoci, args, { encoding: 'utf8' })
  if (status !== 0) expect(stderr).toContain('unpriv.link')
  return status === 0
}

/** An OCI image layout with one image of these layers. */
function writeLayout(directory: string, layers: LiteralEntry[][]): void {
  mkdirSync(join(directory, 'blobs/sha256'), { recursive: true })
  const put = (content: Buffer, mediaType: string) => {
    const hex = createHash('sha256').update(content).digest('hex')
    writeFileSync(join(directory, 'blobs/sha256', hex), content)
    return { mediaType, digest: `sha256:${hex}`, size: content.length }
  }
  const json = (value: unknown) => Buffer.from(JSON.stringify(value))
  const blobs = layers.map((layer) => put(tar(layer), 'application/vnd.oci.image.layer.v1.tar'))
  const config = {
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: blobs.map(({ digest }) => digest) },
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: put(json(config), 'application/vnd.oci.image.config.v1+json'),
    layers: blobs,
  }
  const annotations = { 'org.opencontainers.image.ref.name': 'test' }
  const manifests = [{ ...put(json(manifest), manifest.mediaType), annotations }]
  writeFileSync(join(directory, 'index.json'), json({ schemaVersion: 2, manifests }))
  writeFileSync(join(directory, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }))
}

/** Without modes and times: umoci gives directories that no entry names the time of day. */
function names(tree: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(tree).map(([name, line]) => [
      name,
      line.replace(/ @.*$/, '').replace(/^(\w+) \d+/, '$1'),
    ]),
  )
}
