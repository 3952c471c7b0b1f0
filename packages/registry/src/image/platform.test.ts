import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Descriptor } from './descriptor.ts'
import { MEDIA_TYPES } from './media-types.ts'
import {
  formatPlatform,
  hostPlatform,
  isSamePlatform,
  matchesPlatform,
  normalizePlatform,
  parsePlatform,
  selectPlatform,
} from './platform.ts'

describe('parsePlatform', () => {
  it.each([
    ['linux/amd64', 'linux/amd64'],
    ['amd64', 'linux/amd64'],
    ['x86_64', 'linux/amd64'],
    ['Linux/ARM64', 'linux/arm64'],
    ['linux/aarch64', 'linux/arm64'],
    ['linux/arm64/v8', 'linux/arm64'],
    ['linux/arm64/v9', 'linux/arm64/v9'],
    ['linux/arm/7', 'linux/arm/v7'],
    ['armhf', 'linux/arm/v7'],
    ['linux/armel', 'linux/arm/v6'],
    ['linux/i386', 'linux/386'],
    ['windows/amd64', 'windows/amd64'],
  ])('reads %s as %s', (text, formatted) => {
    expect(formatPlatform(parsePlatform(text))).toBe(formatted)
  })

  it.each(['', '/', 'linux/', 'linux/a/b/c', 'linux/am d', 'linux//v7'])('refuses %j', (text) => {
    expect(() => parsePlatform(text)).toThrow(
      expect.objectContaining({ code: 'ERR_REGISTRY_BAD_PLATFORM', hint: expect.any(String) }),
    )
  })
})

describe('selectPlatform', () => {
  it.each([
    ['linux/amd64', ['linux/arm64', 'linux/amd64'], 'linux/amd64'],
    ['linux/arm/v7', ['linux/arm/v6', 'linux/arm/v7', 'linux/arm/v5'], 'linux/arm/v7'],
    ['linux/arm/v8', ['linux/arm/v5', 'linux/arm/v7', 'linux/arm/v6'], 'linux/arm/v7'],
    ['linux/arm/v8', ['linux/arm/v5', 'linux/arm/v6'], 'linux/arm/v6'],
    ['linux/arm', ['linux/arm/v6', 'linux/arm/v7'], 'linux/arm/v7'],
    ['linux/arm/v7', ['linux/arm'], 'linux/arm'],
    ['linux/arm64', ['linux/arm64/v8'], 'linux/arm64/v8'],
    ['linux/arm64/v8', ['linux/arm64'], 'linux/arm64'],
    ['linux/arm64/v9', ['linux/arm64/v8', 'linux/arm64/v9'], 'linux/arm64/v9'],
    ['linux/amd64/v3', ['linux/amd64', 'linux/amd64/v2', 'linux/amd64/v4'], 'linux/amd64/v2'],
    ['linux/amd64', ['linux/amd64/v3', 'linux/amd64'], 'linux/amd64'],
    ['linux/ppc64le', ['linux/ppc64le', 'linux/ppc64le'], 'linux/ppc64le'],
  ])('for %s chooses from %j the image for %s', (wanted, available, chosen) => {
    const index = { manifests: available.map(entry) }
    const first = index.manifests[available.indexOf(chosen)]
    expect(selectPlatform(index, parsePlatform(wanted))).toBe(first)
  })

  it('passes over attestations, unknown platforms and what is no image', () => {
    const attestation = {
      ...entry('unknown/unknown'),
      annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
    }
    const disguised = { ...entry('linux/amd64'), annotations: attestation.annotations }
    const chart = { ...entry('linux/amd64'), mediaType: 'application/vnd.example+json' }
    const wanted = entry('linux/amd64')
    const manifests = [attestation, disguised, chart, wanted]
    expect(selectPlatform({ manifests }, parsePlatform('amd64'))).toBe(wanted)
  })

  it('takes the only image if nobody said what it is for', () => {
    const { platform: _, ...only } = entry('linux/amd64')
    expect(selectPlatform({ manifests: [only] }, parsePlatform('arm64'))).toBe(only)
  })

  it('lists what there is when nothing fits', () => {
    const available = ['linux/arm64/v8', 'linux/arm/v7', 'linux/arm/v7', 'unknown/unknown']
    const manifests = available.map(entry)
    expect(() => selectPlatform({ manifests }, parsePlatform('linux/arm/v6'), 'alpine')).toThrow(
      expect.objectContaining({
        code: 'ERR_REGISTRY_NO_PLATFORM',
        message: 'alpine has no image for linux/arm/v6; available: linux/arm64/v8, linux/arm/v7',
        available: ['linux/arm64/v8', 'linux/arm/v7'],
      }),
    )
    expect(() => selectPlatform({ manifests: [] }, parsePlatform('amd64'))).toThrow(
      'available: none',
    )
  })

  it('never chooses what does not match, and always chooses if something does', () => {
    const platforms = fc
      .tuple(
        fc.constantFrom('linux', 'windows'),
        fc.constantFrom('arm', 'arm64', 'amd64'),
        fc.option(fc.constantFrom('v5', 'v6', 'v7', 'v8', 'odd'), { nil: undefined }),
      )
      .map((parts) => parts.filter((part) => part !== undefined).join('/'))
    fc.assert(
      fc.property(platforms, fc.array(platforms, { minLength: 2 }), (wanted, available) => {
        const platform = parsePlatform(wanted)
        const manifests = available.map(entry)
        const matching = manifests.filter(
          (m) => m.platform && matchesPlatform(platform, m.platform),
        )
        const same = manifests.find((m) => m.platform && isSamePlatform(platform, m.platform))
        if (matching.length === 0) {
          expect(() => selectPlatform({ manifests }, platform)).toThrow('has no image')
        } else {
          const chosen = selectPlatform({ manifests }, platform)
          expect(matching).toContain(chosen)
          if (same !== undefined) expect(chosen).toBe(same)
        }
      }),
    )
  })
})

describe('normalizePlatform', () => {
  it('is idempotent and keeps what it does not know', () => {
    const platform = { os: 'Windows', architecture: 'x86_64', 'os.version': '10.0' }
    const once = normalizePlatform(platform)
    expect(once).toEqual({ os: 'windows', architecture: 'amd64', 'os.version': '10.0' })
    expect(normalizePlatform(once)).toEqual(once)
  })
})

describe('hostPlatform', () => {
  const cpuinfo = (architecture: string, model = 'ARMv7 Processor rev 4 (v7l)') =>
    `processor\t: 0\nmodel name\t: ${model}\nCPU architecture: ${architecture}\n`

  it.each([
    [{ arch: 'x64' }, 'linux/amd64'],
    [{ arch: 'ia32' }, 'linux/386'],
    [{ arch: 'arm64' }, 'linux/arm64/v8'],
    [{ arch: 'riscv64' }, 'linux/riscv64'],
    [{ arch: 'arm', cpuinfo: cpuinfo('7') }, 'linux/arm/v7'],
    [
      { arch: 'arm', cpuinfo: cpuinfo('7', 'ARMv6-compatible processor rev 7 (v6l)') },
      'linux/arm/v6',
    ],
    [{ arch: 'arm', cpuinfo: cpuinfo('5TEJ') }, 'linux/arm/v5'],
    [{ arch: 'arm', cpuinfo: cpuinfo('8') }, 'linux/arm/v8'],
    [{ arch: 'arm', cpuinfo: cpuinfo('AArch64') }, 'linux/arm/v8'],
    [{ arch: 'arm', cpuinfo: '' }, 'linux/arm/v7'],
  ])('of %j is %s', (facts, formatted) => {
    expect(formatPlatform(hostPlatform(facts))).toBe(formatted)
  })

  it('of this machine is Linux', () => {
    expect(hostPlatform().os).toBe('linux')
  })
})

function entry(text: string): Descriptor {
  const [os = '', architecture = '', variant] = text.split('/')
  const platform = { os, architecture, ...(variant === undefined ? {} : { variant }) }
  const digest = `sha256:${'a'.repeat(64)}`
  return { mediaType: MEDIA_TYPES.ociManifest, digest, size: 1, platform }
}
