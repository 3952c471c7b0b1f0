import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { makeImage, makeIndex, makeLayer } from '../testing/index.ts'
import { digestOf } from './digest.ts'
import { MAX_DOCUMENT_BYTES } from './json-document.ts'
import { assertImage, parseManifest } from './manifest.ts'
import { MEDIA_TYPES } from './media-types.ts'

const image = makeImage({ layers: [makeLayer({ a: 'a' }), makeLayer({ b: 'b' })] })
const descriptor = { mediaType: 'x/y', digest: digestOf(Buffer.from('x')), size: 1 }
const manifest = {
  schemaVersion: 2,
  mediaType: MEDIA_TYPES.ociManifest,
  config: { ...descriptor, mediaType: MEDIA_TYPES.ociConfig },
  layers: [{ ...descriptor, mediaType: MEDIA_TYPES.ociLayerGzip }],
}
const index = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [descriptor] }

describe('parseManifest', () => {
  it.each(['oci', 'docker'] as const)('reads manifests and indexes of %s', (format) => {
    const layers = [makeLayer({ a: 'a' })]
    const made = makeImage({ layers, format })
    const { descriptor: named, bytes } = made.manifest
    const document = parseManifest(bytes, named.mediaType)
    expect(document).toMatchObject({ kind: 'manifest', config: made.config.descriptor })
    const list = makeIndex([made], { format }).index
    expect(parseManifest(list.bytes, list.descriptor.mediaType)).toMatchObject({
      kind: 'index',
      manifests: [{ ...named, platform: made.platform }],
    })
  })

  it('knows a manifest without media type by what carried it, and by its shape', () => {
    const { mediaType: _, ...bare } = manifest
    const { mediaType: __, ...bareIndex } = index
    expect(parse(bare, MEDIA_TYPES.dockerManifest).mediaType).toBe(MEDIA_TYPES.dockerManifest)
    expect(parse(bare, 'application/json').mediaType).toBe(MEDIA_TYPES.ociManifest)
    expect(parse(bareIndex).mediaType).toBe(MEDIA_TYPES.ociIndex)
  })

  it('keeps the parts of descriptors that matter and drops the rest', () => {
    const full = {
      ...descriptor,
      annotations: { a: 'b' },
      urls: ['https://host.example/x'],
      platform: { os: 'linux', architecture: 'arm', variant: 'v7', 'os.features': ['x'], odd: 1 },
      odd: true,
    }
    const document = parse({ ...index, manifests: [full] })
    const { odd: _, platform, ...rest } = full
    const { odd: __, ...restOfPlatform } = platform
    expect(document).toMatchObject({ manifests: [{ ...rest, platform: restOfPlatform }] })
    expect(JSON.stringify(document)).not.toContain('odd')
  })

  it.each([MEDIA_TYPES.schema1, MEDIA_TYPES.schema1Signed, undefined])(
    'says what to do about schema 1 (%s)',
    (mediaType) => {
      const schema1 = { schemaVersion: 1, fsLayers: [], history: [] }
      expect(() => parse(schema1, mediaType)).toThrow(
        expect.objectContaining({
          code: 'ERR_REGISTRY_SCHEMA1',
          hint: expect.stringContaining('skopeo copy'),
        }),
      )
    },
  )

  it.each([
    ['what is not JSON', 'no json', 'it is not JSON'],
    ['a list', '[]', 'it is not a JSON object'],
    ['null', 'null', 'it is not a JSON object'],
    ['no schemaVersion', {}, '"schemaVersion" is not 2'],
    ['no layers', { ...manifest, layers: undefined }, '"layers" is not a list'],
    ['no config', { ...manifest, config: undefined }, 'a descriptor is not an object'],
    ['a manifest that is an index too', { ...manifest, manifests: [] }, 'at once'],
    ['an index that is a manifest too', { ...index, layers: [] }, 'at once'],
    ['too many layers', { ...manifest, layers: Array(513).fill(descriptor) }, 'more than 512'],
    ['a wild digest', withConfig({ digest: 'sha256:../..' }), 'no usable digest'],
    ['a negative size', withConfig({ size: -1 }), 'not a whole number'],
    ['a fraction of a size', withConfig({ size: 0.5 }), 'not a whole number'],
    ['a size beyond 2^53', withConfig({ size: 2 ** 60 }), 'not a whole number'],
    ['no media type', withConfig({ mediaType: '' }), 'no media type'],
    ['annotations that are none', { ...manifest, annotations: { a: 1 } }, '"annotations"'],
    [
      'a platform that is none',
      { ...index, manifests: [{ ...descriptor, platform: 1 }] },
      'platform',
    ],
  ])('refuses %s', (_, document, why) => {
    expect(() => parse(document)).toThrow(
      expect.objectContaining({
        code: 'ERR_REGISTRY_BAD_MANIFEST',
        message: expect.stringContaining(why),
      }),
    )
  })

  it('refuses a document that calls itself something else than its carrier does (CVE-2021-41190)', () => {
    const { bytes } = image.manifest
    expect(() => parseManifest(bytes, MEDIA_TYPES.ociIndex)).toThrow('calls itself')
    expect(() => parseManifest(bytes, MEDIA_TYPES.dockerManifest)).toThrow('calls itself')
  })

  it('refuses invalid UTF-8', () => {
    const bytes = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff]), Buffer.from('"}')])
    expect(() => parseManifest(bytes, undefined)).toThrow('it is not JSON')
  })

  it('refuses unknown types, and more than 4 MiB', () => {
    expect(() => parse({ schemaVersion: 2, mediaType: 'a/b' })).toThrow(
      expect.objectContaining({ code: 'ERR_REGISTRY_NOT_AN_IMAGE', actual: 'a/b' }),
    )
    expect(() => parseManifest(new Uint8Array(MAX_DOCUMENT_BYTES + 1), undefined)).toThrow(
      expect.objectContaining({ code: 'ERR_REGISTRY_TOO_LARGE' }),
    )
  })

  it('throws nothing but its own errors, whatever the JSON', () => {
    const value = fc.record(
      {
        schemaVersion: fc.constantFrom(1, 2, 3),
        mediaType: fc.oneof(fc.constantFrom(...Object.values(MEDIA_TYPES)), fc.jsonValue()),
        config: fc.oneof(fc.constant(manifest.config), fc.jsonValue()),
        layers: fc.oneof(fc.constant(manifest.layers), fc.jsonValue()),
        manifests: fc.jsonValue(),
        annotations: fc.jsonValue(),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(value, (document) => {
        try {
          parse(document)
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^ERR_REGISTRY_/) })
        }
      }),
    )
  })
})

describe('assertImage', () => {
  it('accepts images and names what else there is', () => {
    const parsed = parseManifest(image.manifest.bytes, MEDIA_TYPES.ociManifest)
    if (parsed.kind !== 'manifest') throw new Error('not a manifest')
    assertImage(parsed, 'x')
    const chart = 'application/vnd.cncf.helm.config.v1+json'
    const config = { ...parsed.config, mediaType: chart }
    expect(() => assertImage({ ...parsed, config }, 'x')).toThrow(
      expect.objectContaining({ code: 'ERR_REGISTRY_NOT_AN_IMAGE', actual: chart }),
    )
    const layers = [
      { ...descriptor, mediaType: 'application/vnd.oci.image.layer.v1.tar+encrypted' },
    ]
    expect(() => assertImage({ ...parsed, layers }, 'x')).toThrow('is not a container image')
  })
})

function withConfig(change: object): object {
  return { ...manifest, config: { ...manifest.config, ...change } }
}

function parse(document: unknown, mediaType?: string) {
  const text = typeof document === 'string' ? document : JSON.stringify(document)
  return parseManifest(Buffer.from(text), mediaType)
}
