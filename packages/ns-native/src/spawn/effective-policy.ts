import { createHash } from 'node:crypto'
import type { LandlockSpec } from '../landlock-rights.ts'
import type { LaunchSpec, Mount, NamespaceType } from '../launch-spec.ts'
import type { EffectiveLimits } from '../limits.ts'

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
  /** `own`: a loopback, and what this process makes of it; `joined`: another's. */
  network: 'own' | 'joined' | 'host'
  capabilities: readonly string[]
  noNewPrivileges: boolean
  seccomp: { instructions: number; sha256: string } | null
  /** Of each limit that was asked for: who holds it. */
  limits: EffectiveLimits
  landlock: LandlockSpec | null
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
export function effectivePolicy(
  spec: LaunchSpec,
  limits: EffectiveLimits,
  degraded: readonly string[] = [],
): EffectivePolicy {
  const { seccomp, uid, gid, capabilities, noNewPrivileges } = spec.process
  return {
    namespaces: spec.namespaces,
    ids: spec.idMapping?.kind ?? 'none',
    uid,
    gid,
    mounts: spec.mounts.map(effectiveMount),
    masked: spec.maskedPaths,
    readonly: spec.readonlyPaths,
    network: networkOf(spec),
    capabilities,
    noNewPrivileges,
    seccomp:
      seccomp === undefined
        ? null
        : {
            instructions: seccomp.length / 8,
            sha256: createHash('sha256').update(seccomp).digest('hex'),
          },
    limits,
    landlock: spec.process.landlock ?? null,
    degraded: [...degraded, ...weakened(limits)],
  }
}

function networkOf({ namespaces, joinNamespaces }: LaunchSpec): EffectivePolicy['network'] {
  if (namespaces.includes('network')) return 'own'
  return joinNamespaces?.network === undefined ? 'host' : 'joined'
}

function weakened(limits: EffectiveLimits): string[] {
  return Object.entries(limits)
    .filter(([, limit]) => limit.enforcedBy === null || limit.degraded === true)
    .map(([name]) => `limits.${name}`)
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
