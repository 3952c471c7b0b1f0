export type { AccessOptions } from './access.ts'
export type { Endpoint, Fault } from './fault.ts'
export {
  type ImageOptions,
  makeImage,
  makeIndex,
  type TestBlob,
  type TestImage,
  type TestIndex,
} from './image.ts'
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
export { type TarEntry, writeTar } from './tar-writer.ts'
export {
  createTestRegistry,
  type LoggedRequest,
  type TestRegistry,
  type TestRegistryOptions,
} from './test-registry.ts'
