export {
  CAPABILITIES,
  type CapabilityName,
  DEFAULT_CAPABILITIES,
  DEFAULT_MASKED_PATHS,
  DEFAULT_READONLY_PATHS,
} from './defaults.ts'
export type {
  IdMapping,
  IdMappingPlan,
  LaunchSpec,
  MonitorSpec,
  Mount,
  MountFlags,
  NamespaceType,
  OverlaySpec,
  ProcessSpec,
  RootSpec,
} from './launch-spec.ts'
export { defaultSeccomp } from './seccomp/default-filter.ts'
export type { DefaultSeccompOptions } from './seccomp/default-profile.ts'
export { interpretSeccomp, type SeccompCall, type SeccompVerdict } from './seccomp/interpret.ts'
export type { SeccompAction, SeccompArch } from './seccomp/profile.ts'
