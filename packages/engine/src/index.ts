export { type BundleOptions, createBundle } from './bundle.ts'
export type { Container, ContainerExit } from './container.ts'
export {
  createEngine,
  type Engine,
  type EngineOptions,
  type PulledImage,
} from './engine.ts'
export { readEnvFile } from './env-file.ts'
export {
  ENGINE_ERROR_CODES,
  EngineError,
  type EngineErrorCode,
  type EngineErrorFacts,
} from './errors.ts'
export type { Network } from './etc-files.ts'
export type { EngineEvent, OnEvent, PushedLayer, WarningCode } from './event.ts'
export { type HostFacts, readHostFacts } from './host-facts.ts'
export type { ImageOptions, PullPolicy } from './image.ts'
export type { ContainerSummary } from './list.ts'
export type { LoginOptions, LogoutResult, StoredLogin } from './login.ts'
export type { LogEntry, LogOptions } from './logs.ts'
export type { PushedImage, PushImageOptions } from './push-image.ts'
export type { RunOptions } from './run-options.ts'
export { parseSignal } from './signal.ts'
export type { StopOptions } from './stop.ts'
export { parseVolume, type Volume } from './volume.ts'
