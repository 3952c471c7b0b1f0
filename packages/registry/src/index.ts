export type { BlobIngest } from './blob-ingest.ts'
export { type Challenge, parseChallenges } from './challenge.ts'
export type { CallOptions, ClientEvent, RegistryClient, RegistryClientOptions } from './client.ts'
export { createRegistryClient } from './client.ts'
export { runCredentialHelper } from './credential-helper.ts'
export type {
  CredentialHelperRunner,
  CredentialProvider,
  CredentialQuery,
  Credentials,
  FileCredentialsOptions,
} from './credentials.ts'
export { fileCredentials, staticCredentials } from './credentials.ts'
export type { Descriptor } from './descriptor.ts'
export type { DigestAlgorithm, Expectation, ParsedDigest } from './digest.ts'
export { digestOf, isDigest, parseDigest, verifyBytes, verifyStream } from './digest.ts'
export type { RegistryErrorCode, RegistryErrorDetail, RegistryErrorFields } from './errors.ts'
export { isRegistryError, REGISTRY_ERROR_CODES, RegistryError } from './errors.ts'
export type { FetchedManifest, ManifestHead } from './fetch-manifest.ts'
export { type ImageConfig, parseImageConfig } from './image-config.ts'
export type { StoredImageEntry, TagOptions } from './layout.ts'
export { type ImageLayout, openImageLayout } from './layout.ts'
export { type ImageIndex, type ImageManifest, parseManifest } from './manifest.ts'
export { MEDIA_TYPES, toOciType } from './media-types.ts'
export type { BlobBody } from './open-blob.ts'
export {
  formatPlatform,
  type HostFacts,
  hostPlatform,
  isSamePlatform,
  matchesPlatform,
  normalizePlatform,
  type Platform,
  parsePlatform,
  selectPlatform,
} from './platform.ts'
export type { ProxySettings } from './proxy.ts'
export { type PullOptions, type PullResult, pull } from './pull.ts'
export type { PullEvent, PullListener, PullStatus } from './pull-event.ts'
export {
  canonicalName,
  familiarName,
  isReference,
  parseReference,
  type Reference,
  type ReferenceDefaults,
  repositoryName,
  withDigest,
  withTag,
} from './reference.ts'
export type { Retry, RetryPolicy } from './retry.ts'
export type { ImageLayer, StoredImage } from './stored-image.ts'
export type { Timeouts, TransportOptions } from './transport.ts'
