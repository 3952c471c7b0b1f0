export type { ContainerState } from './container-state.ts'
export {
  RUNTIME_ERROR_CODES,
  RuntimeError,
  type RuntimeErrorCode,
  type RuntimeErrorFacts,
} from './errors.ts'
export { parseConfig } from './parse-config.ts'
export { type LaunchContext, planLaunch } from './plan-launch.ts'
export type { RemoveTree } from './removal.ts'
export type { Reservation, ReserveOptions } from './reservation.ts'
export type { RunOptions } from './run.ts'
export type { RunningContainer } from './running-container.ts'
export { openRuntime, type Runtime, type RuntimeOptions } from './runtime.ts'
export {
  type CapabilitiesConfig,
  type IdMappingConfig,
  type LinuxConfig,
  type MountConfig,
  OCI_VERSION,
  type ProcessConfig,
  type ResourcesConfig,
  ROOT_EMULATION_ANNOTATION,
  type RuntimeConfig,
} from './runtime-spec.ts'
