import type { IncomingHttpHeaders } from 'node:http'

/** Whether a reader says that it has this content already (RFC 9110, section 13.1.2). */
export function notModified(headers: IncomingHttpHeaders, digest: string): boolean {
  return entityTags(headers['if-none-match']).includes(digest)
}

/** Whether a writer's condition holds: what is there now has `digest`, or nothing is there. */
export function mayWrite(headers: IncomingHttpHeaders, digest: string | undefined): boolean {
  if (headers['if-match'] !== undefined) {
    const wanted = entityTags(headers['if-match'])
    return digest !== undefined && (wanted.includes('*') || wanted.includes(digest))
  }
  const unwanted = entityTags(headers['if-none-match'])
  return digest === undefined || !(unwanted.includes('*') || unwanted.includes(digest))
}

function entityTags(header: string | undefined): string[] {
  return (header ?? '').split(',').map((tag) =>
    tag
      .trim()
      .replace(/^W\//, '')
      .replace(/^"(.*)"$/, '$1'),
  )
}
