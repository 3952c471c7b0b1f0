import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  canonicalName,
  familiarName,
  isReference,
  parseReference,
  type Reference,
  repositoryName,
  withDigest,
  withTag,
} from './reference.ts'

const HEX = '0123456789abcdef'.repeat(4)
const SHA256 = `sha256:${HEX}`
const SHA512 = `sha512:${HEX}${HEX}`

describe('parseReference', () => {
  it.each<[string, Reference]>([
    ['alpine', hub('library/alpine', 'latest')],
    ['alpine:3.20', hub('library/alpine', '3.20')],
    ['library/alpine:3.8', hub('library/alpine', '3.8')],
    ['grafana/grafana', hub('grafana/grafana', 'latest')],
    ['docker.io/alpine', hub('library/alpine', 'latest')],
    ['docker.io/library/alpine', hub('library/alpine', 'latest')],
    ['index.docker.io/a/b', hub('a/b', 'latest')],
    ['a/b/c/d', hub('a/b/c/d', 'latest')],
    ['localhost/a', { registry: 'localhost', repository: 'a', tag: 'latest' }],
    ['localhost:5000', hub('library/localhost', '5000')],
    ['localhost:5000/a/b:t', { registry: 'localhost:5000', repository: 'a/b', tag: 't' }],
    ['host.example/a', { registry: 'host.example', repository: 'a', tag: 'latest' }],
    ['HOST/a', { registry: 'HOST', repository: 'a', tag: 'latest' }],
    ['[::1]:5000/a', { registry: '[::1]:5000', repository: 'a', tag: 'latest' }],
    ['127.0.0.1:5000/a', { registry: '127.0.0.1:5000', repository: 'a', tag: 'latest' }],
    [`alpine@${SHA256}`, { registry: 'docker.io', repository: 'library/alpine', digest: SHA256 }],
    [`alpine@${SHA512}`, { registry: 'docker.io', repository: 'library/alpine', digest: SHA512 }],
    [`alpine:3@${SHA256}`, { ...hub('library/alpine', '3'), digest: SHA256 }],
    [
      `localhost:5000/a/b@${SHA256}`,
      { registry: 'localhost:5000', repository: 'a/b', digest: SHA256 },
    ],
    ['a--b__c/d.e_f', hub('a--b__c/d.e_f', 'latest')],
    [`${HEX}:tag`, hub(`library/${HEX}`, 'tag')],
    [`a:${'t'.repeat(128)}`, hub('library/a', 't'.repeat(128))],
    ['[2001:db8::1]/a', { registry: '[2001:db8::1]', repository: 'a', tag: 'latest' }],
    // A word alone is never a host, whatever it looks like.
    ['host.example', hub('library/host.example', 'latest')],
    ['docker.io/library', hub('library/library', 'latest')],
    [SHA256, hub('library/sha256', HEX)],
    ['docker.io/library/a/b', hub('library/a/b', 'latest')],
    ['Team/app', { registry: 'Team', repository: 'app', tag: 'latest' }],
    [`${HEX}/a`, hub(`${HEX}/a`, 'latest')],
    [
      `host.example:443/${'a'.repeat(255)}`,
      { registry: 'host.example:443', repository: 'a'.repeat(255), tag: 'latest' },
    ],
  ])('understands %s', (text, expected) => {
    expect(parseReference(text)).toEqual(expected)
  })

  it.each([
    ['', 'it is empty'],
    [HEX, 'a name cannot be 64 hexadecimal digits'],
    ['docker://alpine', 'it is an address'],
    ['Alpine', 'must be lower case'],
    ['a/B', 'must be lower case'],
    ['host.example/', '"" is not a repository name'],
    ['a//b', 'is not a repository name'],
    ['-a', 'is not a repository name'],
    ['a_', 'is not a repository name'],
    ['a___b', 'is not a repository name'],
    ['a..b', 'is not a repository name'],
    ['a b', 'is not a repository name'],
    ['a\nb', 'is not a repository name'],
    ['alpine:', 'is not a tag'],
    ['alpine:-x', 'is not a tag'],
    [`a:${'t'.repeat(129)}`, 'is not a tag'],
    ['alpine:a:b', 'is not a tag'],
    ['alpine@sha256:abc', 'is not a sha256 or sha512 digest'],
    [`alpine@SHA256:${HEX}`, 'is not a sha256 or sha512 digest: it must be lower case'],
    [`alpine@${SHA256.toUpperCase()}`, 'is not a sha256 or sha512 digest'],
    [`alpine@md5:${HEX.slice(0, 32)}`, 'is not a sha256 or sha512 digest'],
    [`alpine@${SHA256}@${SHA256}`, 'is not a sha256 or sha512 digest'],
    ['ex_ample.com/a', "is not a registry's host name"],
    ['-host.example/a', "is not a registry's host name"],
    ['host:port/a', "is not a registry's host name"],
    ['[::g]/a', "is not a registry's host name"],
    ['[1:2]/a', "is not a registry's host name"],
    ['[::1/a', "is not a registry's host name"],
    ['[fe80::1%25eth0]/a', "is not a registry's host name"],
    ['::1/a', "is not a registry's host name"],
    ['host.example:99999/a', "is not a registry's host name"],
    ['host.example:/a', "is not a registry's host name"],
    ['user@host.example/a', "is not a registry's host name"],
    ['host..example/a', "is not a registry's host name"],
    ['Host/Name', 'must be lower case'],
    ['host.example/a:B/c', 'is not a tag'],
    [`alpine@sha384:${HEX}${HEX.slice(0, 32)}`, 'is not a sha256 or sha512 digest'],
    [`alpine@sha512:${HEX}`, 'is not a sha256 or sha512 digest'],
    ['alpine@', 'is not a sha256 or sha512 digest'],
    [`@${SHA256}`, 'is not a repository name'],
    [' alpine', 'is not a repository name'],
    ['alpine\n', 'is not a repository name'],
    ['älpine', 'is not a repository name'],
    ['https://host/a', 'it is an address'],
    [`host.example/${'a'.repeat(256)}`, 'longer than 255'],
    ['a'.repeat(248), 'longer than 255'],
    ['../../etc/passwd', 'is not a registry'],
  ])('refuses %j and says why', (text, why) => {
    expect(() => parseReference(text)).toThrow(
      expect.objectContaining({
        code: 'ERR_REGISTRY_BAD_REFERENCE',
        message: expect.stringContaining(why),
        hint: expect.any(String),
      }),
    )
    expect(isReference(text)).toBe(false)
  })

  it('suggests the lower-case spelling', () => {
    expect(() => parseReference('Alpine:3')).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('library/alpine') }),
    )
  })

  it('takes defaults for what is left out, and only for that', () => {
    const defaults = { registry: 'host.example', tag: 'stable' }
    expect(canonicalName(parseReference('a', defaults))).toBe('host.example/a:stable')
    expect(canonicalName(parseReference('docker.io/a:1', defaults))).toBe('docker.io/library/a:1')
    expect(canonicalName(parseReference('a', { namespace: 'team' }))).toBe(
      'docker.io/team/a:latest',
    )
  })

  it('throws nothing but its own error, whatever the text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z0-9/:@._[\]-]{0,40}$/)), (text) => {
        try {
          parseReference(text)
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_REGISTRY_BAD_REFERENCE' })
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('familiarName', () => {
  it.each([
    ['docker.io/library/alpine:latest', 'alpine'],
    ['docker.io/library/alpine:3.20', 'alpine:3.20'],
    ['docker.io/grafana/grafana:latest', 'grafana/grafana'],
    ['localhost:5000/a/b:t', 'localhost:5000/a/b:t'],
    ['localhost:5000/a/b:latest', 'localhost:5000/a/b'],
    [`docker.io/library/alpine@${SHA256}`, `alpine@${SHA256}`],
    [`docker.io/library/alpine:latest@${SHA256}`, `alpine:latest@${SHA256}`],
    ['docker.io/host.example/a:latest', 'docker.io/host.example/a'],
    ['docker.io/localhost/a:latest', 'docker.io/localhost/a'],
    [`docker.io/library/${HEX}:latest`, `${HEX}:latest`],
  ])('shortens %s to %s', (canonical, familiar) => {
    expect(familiarName(parseReference(canonical))).toBe(familiar)
  })

  it('parses back to the same reference, as does the canonical name', () => {
    fc.assert(
      fc.property(references(), (reference) => {
        expect(parseReference(canonicalName(reference))).toEqual(reference)
        expect(parseReference(familiarName(reference))).toEqual(reference)
        expect(familiarName(reference).length).toBeLessThanOrEqual(canonicalName(reference).length)
      }),
      { numRuns: 1000 },
    )
  })
})

describe('withTag and withDigest', () => {
  const alpine = parseReference(`alpine:3@${SHA256}`)

  it('replace both tag and digest', () => {
    expect(canonicalName(withTag(alpine, 'edge'))).toBe('docker.io/library/alpine:edge')
    expect(canonicalName(withDigest(alpine, SHA512))).toBe(`docker.io/library/alpine@${SHA512}`)
    expect(repositoryName(alpine)).toBe('docker.io/library/alpine')
  })

  it('refuse what is neither', () => {
    const bad = expect.objectContaining({ code: 'ERR_REGISTRY_BAD_REFERENCE' })
    expect(() => withTag(alpine, 'a b')).toThrow(bad)
    expect(() => withDigest(alpine, '../../x')).toThrow(bad)
  })
})

function hub(repository: string, tag: string): Reference {
  return { registry: 'docker.io', repository, tag }
}

/** References as parseReference may return them. */
function references(): fc.Arbitrary<Reference> {
  const part = fc.stringMatching(/^[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}$/)
  const host = fc.oneof(
    fc.constantFrom('docker.io', 'localhost', 'localhost:5000', '[::1]:5000', 'UPPER'),
    fc.stringMatching(/^[a-z0-9]{1,8}\.[a-z]{2,5}(:[1-9][0-9]{0,3})?$/),
  )
  const path = fc.array(fc.oneof(part, fc.constantFrom('library', 'localhost', HEX)), {
    minLength: 1,
    maxLength: 3, // more of the longest would pass 255 characters
  })
  const tag = fc.oneof(fc.constant('latest'), fc.stringMatching(/^\w[\w.-]{0,20}$/))
  const digest = fc.constantFrom(SHA256, SHA512)
  const ending = fc.oneof(
    tag.map((value) => ({ tag: value })),
    digest.map((value) => ({ digest: value })),
    fc.tuple(tag, digest).map(([first, second]) => ({ tag: first, digest: second })),
  )
  return fc.tuple(host, path, ending).map(([registry, parts, end]) => {
    const path = registry === 'docker.io' && parts.length === 1 ? ['library', ...parts] : parts
    return { registry, repository: path.join('/'), ...end }
  })
}
