/** Attributes that describe the machine an image was built on, not the image. */
const DROPPED = new Set(['security.selinux', 'system.nfs4_acl', 'user.rootlesscontainers'])

/**
 * The name under which an image's extended attribute is stored; undefined when it is dropped.
 *
 * An image must not be able to speak to overlayfs, which would let a layer hide or redirect what is
 * below it: `user.overlay.x` becomes `user.overlay.overlay.x`, the form in which overlayfs itself (since
 * Linux 6.7) shows a nested mount's attributes.
 */
export function storedXattrName(name: string): string | undefined {
  if (DROPPED.has(name)) return undefined
  for (const prefix of ['user.overlay.', 'trusted.overlay.']) {
    if (name.startsWith(prefix)) return `${prefix}overlay.${name.slice(prefix.length)}`
  }
  return name
}

/** {@link storedXattrName} for all attributes of an entry. */
export function storedXattrs(
  xattrs: Map<string, Buffer> | undefined,
): Map<string, Buffer> | undefined {
  if (xattrs === undefined) return undefined
  const stored = new Map<string, Buffer>()
  for (const [name, value] of xattrs) {
    const storedName = storedXattrName(name)
    if (storedName !== undefined) stored.set(storedName, value)
  }
  return stored
}
