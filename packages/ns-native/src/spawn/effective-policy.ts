import { createHash } from 'node:crypto'
import type { LaunchSpec, Mount, NamespaceType } from '../launch-spec.ts'

/** What was really enforced, in the kernel's words. */
export interface EffectivePolicy {
  /** The namespaces that are not the caller's. */
  namespaces: readonly NamespaceType[]
  /** `none`: the caller's ids as they are, in no user namespace. */
  ids: 'identity' | 'subid' | 'single' | 'none'
  uid: number
  gid: number
  /** What is visible, in the order of mounting: a later one covers an earlier one. */
  mounts: readonly EffectiveMount[]
  /** Covered by nothing: unreadable, and not writable. */
  masked: readonly string[]
  readonly: readonly string[]
  /** `none`: only a loopback of its own. */
  network: 'none' | 'host'
  capabilities: readonly string[]
  noNewPrivileges: boolean
  seccomp: { instructions: number; sha256: string } | null
  /** What was asked for, cannot be had here, and was allowed to be missing. */
  degraded: readonly string[]
}

/** One mount. */
export interface EffectiveMount {
  path: string
  /** `bind` and `overlay` show something of the host, the others are new. */
  type: Mount['type']
  source?: string
  access: 'read-only' | 'read-write'
}

/** The policy that carrying out `spec` enforces. */
export function effectivePolicy(spec: LaunchSpec, degraded: readonly string[]): EffectivePolicy {
  const { seccomp, uid, gid, capabilities, noNewPrivileges } = spec.process
  return {
    namespaces: spec.namespaces,
    ids: spec.idMapping?.kind ?? 'none',
    uid,
    gid,
    mounts: spec.mounts.map(effectiveMount),
    masked: spec.maskedPaths,
    readonly: spec.readonlyPaths,
    network: spec.namespaces.includes('network') ? 'none' : 'host',
    capabilities,
    noNewPrivileges,
    seccomp:
      seccomp === undefined
        ? null
        : {
            instructions: seccomp.length / 8,
            sha256: createHash('sha256').update(seccomp).digest('hex'),
          },
    degraded,
  }
}

function effectiveMount(mount: Mount): EffectiveMount {
  return {
    path: mount.destination,
    type: mount.type,
    ...(mount.type === 'bind' ? { source: mount.source } : {}),
    access: isReadonly(mount) ? 'read-only' : 'read-write',
  }
}

function isReadonly(mount: Mount): boolean {
  if (mount.type === 'dev') return false
  if (mount.type === 'symlink') return true
  return mount.type === 'file' ? mount.readonly !== false : mount.readonly === true
}
