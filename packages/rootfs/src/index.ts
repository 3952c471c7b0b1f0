export {
  type ApplyLayerOptions,
  applyLayer,
  type LayerProgress,
  type LayerResult,
} from './apply-layer.ts'
export { type ApplyJob, applyLayerFile } from './apply-layer-file.ts'
export { chainIds } from './chain-id.ts'
export {
  ROOTFS_ERROR_CODES,
  RootfsError,
  type RootfsErrorCode,
  type RootfsErrorDetails,
} from './errors.ts'
export { type FlattenOptions, type FlattenResult, flattenLayers } from './flatten-layers.ts'
export {
  type EnsureOptions,
  type LayerEvent,
  type LayerSource,
  type LayerStore,
  openLayerStore,
} from './layer-store.ts'
export { DEFAULT_LIMITS, type Limits } from './limits.ts'
export type { Ownership } from './metadata.ts'
export type { NativeFs } from './native-fs.ts'
export { type ReadFileOptions, readFileFromLayers } from './read-file.ts'
export { removeTree } from './remove-tree.ts'
export type { SkippedItem } from './skipped.ts'
