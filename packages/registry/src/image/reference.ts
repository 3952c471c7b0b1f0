import { RegistryError } from '../errors.ts'

/**
 * A parsed image reference.
 *
 * At least one of `tag` and `digest` is set. Where both are, the digest decides which image is
 * meant and the tag is kept for the reader.
 */
export interface Reference {
  /** The registry's domain, such as `docker.io` or `localhost:5000`. */
  registry: string
  /** The repository within the registry, such as `library/alpine`. */
  repository: string
  /** The tag, such as `latest`. */
  tag?: string
  /** The digest, such as `sha256:…`. */
  digest?: string
}

/** What {@link parseReference} fills in when the text leaves it out. */
export interface ReferenceDefaults {
  /** Default `docker.io`. */
  registry?: string
  /** The namespace of one-word names on docker.io. Default `library`. */
  namespace?: string
  /** The tag of a reference that has neither tag nor digest. Default `latest`. */
  tag?: string
}

const DOMAIN_PART = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])'
const DOMAIN = new RegExp(
  `^(?:${DOMAIN_PART}(?:\\.${DOMAIN_PART})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`,
)
const PATH_PART = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*'
const REPOSITORY = new RegExp(`^${PATH_PART}(?:/${PATH_PART})*$`)
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/
const DIGEST = /^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/
const BARE_IDENTIFIER = /^[a-f0-9]{64}$/

/** What addresses of the web and of other tools begin with. */
const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i

const MAX_REPOSITORY_LENGTH = 255
const DEFAULT_REGISTRY = 'docker.io'
const DEFAULT_NAMESPACE = 'library'
const DEFAULT_TAG = 'latest'

/**
 * Parse `[domain/]path[:tag][@digest]` by the grammar of the distribution project.
 *
 * The first path segment is a domain if it is `localhost`, holds a `.` or `:`, or an upper-case
 * letter. Throws `ERR_REGISTRY_BAD_REFERENCE`.
 * Source: github.com/distribution/reference, `reference.go` and `normalize.go`.
 */
export function parseReference(text: string, defaults: ReferenceDefaults = {}): Reference {
  if (text === '') throw badReference(text, 'it is empty')
  if (BARE_IDENTIFIER.test(text)) {
    const hint = `to name an image by its digest, write NAME@sha256:${text}`
    throw badReference(text, 'a name cannot be 64 hexadecimal digits', hint)
  }
  const scheme = SCHEME.exec(text)?.[0]
  if (scheme !== undefined) throw badReference(text, 'it is an address', `leave out ${scheme}`)
  const { domain, remainder } = splitDomain(text)
  const { path, tag, digest } = splitPath(text, remainder)
  const registry = normalizeRegistry(domain ?? defaults.registry ?? DEFAULT_REGISTRY)
  const repository =
    registry === DEFAULT_REGISTRY && !path.includes('/')
      ? `${defaults.namespace ?? DEFAULT_NAMESPACE}/${path}`
      : path
  checkRegistry(text, registry)
  checkRepository(text, repository)
  if (tag === undefined && digest === undefined) {
    return { registry, repository, tag: defaults.tag ?? DEFAULT_TAG }
  }
  return {
    registry,
    repository,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  }
}

/** Whether {@link parseReference} accepts the text. Never throws. */
export function isReference(text: string): boolean {
  try {
    parseReference(text)
    return true
  } catch {
    return false
  }
}

/** The complete form: `docker.io/library/alpine:latest`. Parses back to the same reference. */
export function canonicalName(reference: Reference): string {
  return `${repositoryName(reference)}${suffix(reference)}`
}

/** Registry and repository without tag and digest: `docker.io/library/alpine`. */
export function repositoryName(reference: Reference): string {
  return `${reference.registry}/${reference.repository}`
}

/** The shortest form that parses back to the same reference: `alpine`, `alpine:3.20`, `localhost:5000/a/b:t`. */
export function familiarName(reference: Reference): string {
  const canonical = canonicalName(reference)
  for (const name of shortNames(reference)) {
    for (const ending of reference.tag === DEFAULT_TAG
      ? ['', suffix(reference)]
      : [suffix(reference)]) {
      const candidate = `${name}${ending}`
      if (isReference(candidate) && canonicalName(parseReference(candidate)) === canonical) {
        return candidate
      }
    }
  }
  return canonical
}

/**
 * Check a reference that was put together by hand: its parts become parts of URLs and of file names.
 *
 * Throws `ERR_REGISTRY_BAD_REFERENCE` unless each of them could stand in a text.
 */
export function assertReference(reference: Reference): void {
  const { registry, repository, tag, digest } = reference
  const text = canonicalName(reference)
  checkRegistry(text, registry)
  checkRepository(text, repository)
  if (tag !== undefined && !TAG.test(tag)) throw badReference(text, badTag(tag))
  if (digest !== undefined && !DIGEST.test(digest)) throw badReference(text, badDigest(digest))
}

/** The same repository at another tag. Throws `ERR_REGISTRY_BAD_REFERENCE`. */
export function withTag(reference: Reference, tag: string): Reference {
  const { registry, repository } = reference
  if (!TAG.test(tag)) throw badReference(`${repositoryName(reference)}:${tag}`, badTag(tag))
  return { registry, repository, tag }
}

/** The same repository at exactly this digest. Throws `ERR_REGISTRY_BAD_REFERENCE`. */
export function withDigest(reference: Reference, digest: string): Reference {
  const { registry, repository } = reference
  if (!DIGEST.test(digest))
    throw badReference(`${repositoryName(reference)}@${digest}`, badDigest(digest))
  return { registry, repository, digest }
}

function splitDomain(text: string): { domain?: string; remainder: string } {
  const slash = text.indexOf('/')
  if (slash === -1) return { remainder: text }
  const first = text.slice(0, slash)
  const isDomain = first === 'localhost' || /[.:]/.test(first) || first !== first.toLowerCase()
  return isDomain ? { domain: first, remainder: text.slice(slash + 1) } : { remainder: text }
}

function splitPath(
  text: string,
  remainder: string,
): { path: string; tag?: string; digest?: string } {
  const at = remainder.indexOf('@')
  const named = at === -1 ? remainder : remainder.slice(0, at)
  const colon = named.indexOf(':')
  const path = colon === -1 ? named : named.slice(0, colon)
  const tag = colon === -1 ? undefined : named.slice(colon + 1)
  const digest = at === -1 ? undefined : remainder.slice(at + 1)
  if (tag !== undefined && !TAG.test(tag)) throw badReference(text, badTag(tag))
  if (digest !== undefined && !DIGEST.test(digest)) throw badReference(text, badDigest(digest))
  return {
    path,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  }
}

function normalizeRegistry(domain: string): string {
  return domain === 'index.docker.io' ? DEFAULT_REGISTRY : domain
}

/** The grammar lets pass what no connection can be made to, such as port 99999 or `[1:2]`. */
function checkRegistry(text: string, registry: string): void {
  if (!DOMAIN.test(registry) || !URL.canParse(`https://${registry}/`)) {
    throw badReference(text, `"${registry}" is not a registry's host name`)
  }
}

function checkRepository(text: string, repository: string): void {
  if (repository.length > MAX_REPOSITORY_LENGTH) {
    throw badReference(
      text,
      `the repository name is longer than ${MAX_REPOSITORY_LENGTH} characters`,
    )
  }
  if (REPOSITORY.test(repository)) return
  if (REPOSITORY.test(repository.toLowerCase())) {
    const hint = `write it in lower case: ${repository.toLowerCase()}`
    throw badReference(text, `the repository name "${repository}" must be lower case`, hint)
  }
  throw badReference(text, `"${repository}" is not a repository name`)
}

function suffix({ tag, digest }: Reference): string {
  return `${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`
}

function shortNames(reference: Reference): string[] {
  const full = repositoryName(reference)
  if (reference.registry !== DEFAULT_REGISTRY) return [full]
  const { repository } = reference
  const prefix = `${DEFAULT_NAMESPACE}/`
  const official = repository.startsWith(prefix) ? [repository.slice(prefix.length)] : []
  return [...official, repository, full]
}

function badTag(tag: string): string {
  return `"${tag}" is not a tag (letters, digits, "_", ".", "-"; at most 128)`
}

function badDigest(digest: string): string {
  const why = DIGEST.test(digest.toLowerCase()) ? ': it must be lower case' : ''
  return `"${digest}" is not a sha256 or sha512 digest${why}`
}

function badReference(text: string, why: string, hint?: string): RegistryError {
  const shown = text.length > 300 ? `${text.slice(0, 300)}…` : text
  return new RegistryError(
    'ERR_REGISTRY_BAD_REFERENCE',
    `"${shown}" is not an image reference: ${why}`,
    { hint: hint ?? 'write NAME, NAME:TAG, NAME@sha256:… or HOST[:PORT]/NAME:TAG' },
  )
}
