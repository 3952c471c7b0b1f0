export type { AccessOptions } from './access.ts'
export type { ContentOptions } from './call.ts'
export { type Certificate, makeCertificate } from './certificate.ts'
export type { Endpoint, Fault, FaultEffect, FaultTarget } from './fault.ts'
export {
  type ImageOptions,
  makeImage,
  makeIndex,
  type TestBlob,
  type TestImage,
  type TestIndex,
} from './image.ts'
export { KNOWN_FAULTS, type KnownFault } from './known-faults.ts'
export {
  character,
  directory,
  type EntryAttributes,
  fifo,
  file,
  hardlink,
  type LayerEntry,
  type LayerOptions,
  type LayerTree,
  layerFromTar,
  makeLayer,
  opaque,
  symlink,
  type TestLayer,
  whiteout,
} from './layer.ts'
export type { ServerTls } from './listener.ts'
export type { UrlLife } from './presigned-urls.ts'
export type { RateLimitOptions } from './rate-limit.ts'
export type { LoggedRequest } from './serve.ts'
export type { ServerOptions } from './server.ts'
export { type TarEntry, writeTar } from './tar-writer.ts'
export { createTestRegistry, type TestRegistry, type TestRegistryOptions } from './test-registry.ts'
