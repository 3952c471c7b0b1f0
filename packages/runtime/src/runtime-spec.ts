import type { SeccompProfile } from '@cromwell/ns-native'

/**
 * The part of the OCI runtime specification's `config.json` that this runtime carries out,
 * in the specification's words (https://github.com/opencontainers/runtime-spec/blob/main/config.md).
 */
export interface RuntimeConfig {
  ociVersion: string
  root: {
    /** Absolute, or relative to the bundle. */
    path: string
    readonly?: boolean
  }
  process: ProcessConfig
  hostname?: string
  domainname?: string
  mounts?: MountConfig[]
  linux?: LinuxConfig
  annotations?: Record<string, string>
}

/** What limits, ranks and labels the contained process. */
export interface AttributesConfig {
  /** 2^63 and more is no limit. */
  rlimits?: { type: string; soft: number; hard: number }[]
  oomScoreAdj?: number
  ioPriority?: { class: string; priority: number }
  /** Only the policy SCHED_OTHER, with a nice value. */
  scheduler?: { policy: string; nice?: number }
  apparmorProfile?: string
  selinuxLabel?: string
}

/** The contained process, `process` of config.json. */
export interface ProcessConfig extends AttributesConfig {
  terminal?: boolean
  consoleSize?: { height: number; width: number }
  user: { uid: number; gid: number; umask?: number; additionalGids?: number[] }
  args: string[]
  env?: string[]
  cwd: string
  capabilities?: CapabilitiesConfig
  noNewPrivileges?: boolean
}

/** The five capability sets; names as in capabilities(7). */
export interface CapabilitiesConfig {
  bounding?: string[]
  effective?: string[]
  permitted?: string[]
  inheritable?: string[]
  ambient?: string[]
}

/** One entry of `mounts`; options are those of mount(8). */
export interface MountConfig {
  destination: string
  type?: string
  source?: string
  options?: string[]
}

/** The Linux part, `linux` of config.json. */
export interface LinuxConfig {
  namespaces?: { type: string; path?: string }[]
  uidMappings?: IdMappingConfig[]
  gidMappings?: IdMappingConfig[]
  maskedPaths?: string[]
  readonlyPaths?: string[]
  rootfsPropagation?: string
  /** As it stands in the file; what is wrong with it is found when it is compiled. */
  seccomp?: SeccompProfile
  /** Seconds and nanoseconds by clock: `monotonic`, `boottime`. */
  timeOffsets?: Record<string, { secs: number; nanosecs?: number }>
  resources?: ResourcesConfig
  /** Absolute: below the mount point of version 2. One name: that of the group, wherever it is made. */
  cgroupsPath?: string
}

/** How much the container may use, `linux.resources`; 0 and less is no limit. */
export interface ResourcesConfig {
  /** Bytes; `swap` is memory and swap together. */
  memory?: { limit?: number; swap?: number }
  /** Microseconds of processor time in each period. */
  cpu?: { quota?: number; period?: number }
  pids?: { limit?: number }
  blockIO?: {
    throttleReadBpsDevice?: ThrottleConfig[]
    throttleWriteBpsDevice?: ThrottleConfig[]
    throttleReadIOPSDevice?: ThrottleConfig[]
    throttleWriteIOPSDevice?: ThrottleConfig[]
  }
}

/** Of one block device, each second. */
export interface ThrottleConfig {
  major: number
  minor: number
  rate: number
}

/** One range of an id mapping. */
export interface IdMappingConfig {
  containerID: number
  hostID: number
  size: number
}

/**
 * The version of the specification that bundles and states are written in: the oldest that has all
 * that is used, because older runtimes refuse versions they do not know.
 */
export const OCI_VERSION = '1.0.2'

/**
 * Annotation that asks, by `true`, for a root that has one id to be taken for one with all of them
 * (`rootEmulation` of `@cromwell/ns-native`). A runtime that does not know it leaves that root as
 * limited as the kernel makes it.
 */
export const ROOT_EMULATION_ANNOTATION = 'org.cromwell.root-emulation'
