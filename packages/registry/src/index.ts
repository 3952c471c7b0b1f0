export {
  type ArchivedImage,
  type ImageArchive,
  type ImageArchiveOptions,
  openImageArchive,
} from './archive/image-archive.ts'
export {
  createImageArchive,
  type ImageArchiveWriter,
  type ImageArchiveWriterOptions,
} from './archive/image-archive-writer.ts'
export type { ArchiveLimits } from './archive/scan-tar.ts'
export { type Challenge, parseChallenges } from './auth/challenge.ts'
export {
  type CredentialFiles,
  type CredentialSurroundings,
  credentialFiles,
} from './auth/credential-files.ts'
export {
  type CredentialHelperRunner,
  type HelperOptions,
  runCredentialHelper,
} from './auth/credential-helper.ts'
export {
  type CredentialProvider,
  type CredentialQuery,
  type Credentials,
  staticCredentials,
} from './auth/credentials.ts'
export type { CredentialExplanation, CredentialSource } from './auth/explanation.ts'
export {
  type FileCredentials,
  type FileCredentialsOptions,
  fileCredentials,
} from './auth/file-credentials.ts'
export {
  type LoginOptions,
  type LoginResult,
  type LogoutOptions,
  type LogoutResult,
  login,
  logout,
} from './auth/login.ts'
export { type AuthFileFormat, parseServer } from './auth/registry-key.ts'
export type { VerifiedBlob } from './client/blob.ts'
export {
  type BlobSource,
  type BlobSourceOptions,
  bytesSource,
  createBlobSource,
  fileSource,
} from './client/blob-source.ts'
export type { DeleteTagOptions } from './client/delete-tag.ts'
export { type EndpointExplanation, type Explanation, formatExplanation } from './client/explain.ts'
export type { BlobBody, BlobRange } from './client/fetch-blob.ts'
export type { FetchedManifest, ManifestHead } from './client/fetch-manifest.ts'
export type { ListOptions } from './client/list-names.ts'
export type { ReferrersCallOptions } from './client/list-referrers.ts'
export type { PushBlobOptions } from './client/push-blob.ts'
export type { ManifestBytes, PutManifestOptions, PutManifestResult } from './client/put-manifest.ts'
export type { RateLimit } from './client/rate-limit.ts'
export type {
  BlobOptions,
  CallOptions,
  ClientEvent,
  RegistryClient,
  RegistryClientOptions,
} from './client/registry-client.ts'
export { createRegistryClient } from './client/registry-client.ts'
export type { RegistryLists } from './client/registry-lists.ts'
export type { RegistryWrites } from './client/registry-writes.ts'
export type { PushOutcome } from './client/upload-blob.ts'
export {
  type CopyOptions,
  type CopyResult,
  type CopySource,
  type CopyTarget,
  copy,
} from './copy/copy.ts'
export type { CopyEvent, CopyListener } from './copy/copy-event.ts'
export type {
  EndpointFailure,
  RegistryErrorCode,
  RegistryErrorDetail,
  RegistryErrorFields,
} from './errors.ts'
export { isRegistryError, REGISTRY_ERROR_CODES, RegistryError } from './errors.ts'
export type {
  Capability,
  Endpoint,
  EndpointQuery,
  HostResolver,
  TlsSettings,
} from './hosts/endpoint.ts'
export { createHostResolver, type HostResolverOptions } from './hosts/host-resolver.ts'
export type { HostRule, MirrorRule } from './hosts/host-rule.ts'
export type { RegistriesConfPaths } from './hosts/registries-conf.ts'
export type { ResolveName } from './http/guarded-connect.ts'
export type { ConcurrencyLimits } from './http/limiter.ts'
export type { NetworkPolicy } from './http/network-policy.ts'
export { type ProxySettings, proxyFromEnvironment } from './http/proxy.ts'
export type { Retry, RetryPolicy } from './http/retry.ts'
export type { Timeouts, TransportOptions } from './http/transport.ts'
export type { Descriptor } from './image/descriptor.ts'
export type { DigestAlgorithm, Expectation, ParsedDigest } from './image/digest.ts'
export { digestOf, isDigest, parseDigest, verifyBytes, verifyStream } from './image/digest.ts'
export { type ImageConfig, parseImageConfig } from './image/image-config.ts'
export { type ImageIndex, type ImageManifest, parseManifest } from './image/manifest.ts'
export { MEDIA_TYPES, toOciType } from './image/media-types.ts'
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
} from './image/platform.ts'
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
} from './image/reference.ts'
export type { BlobIngest } from './layout/blob-ingest.ts'
export type {
  GarbageOptions,
  GarbageReport,
  RemovedBlob,
  RemovedName,
} from './layout/collect-garbage.ts'
export type { StoredImageEntry, TagOptions } from './layout/image-layout.ts'
export { type ImageLayout, openImageLayout } from './layout/image-layout.ts'
export type { ImageLayer, StoredImage } from './layout/stored-image.ts'
export type {
  LayoutProblem,
  VerifyEvent,
  VerifyOptions,
  VerifyReport,
} from './layout/verify-layout.ts'
export { type PullOptions, type PullResult, pull } from './pull/pull.ts'
export type { PullEvent, PullListener, PullStatus } from './pull/pull-event.ts'
export { type ResolvedImage, resolveImage } from './pull/resolve.ts'
export { type AttachedFile, type Attachment, type AttachOptions, attach } from './push/attach.ts'
export {
  type BuiltIndex,
  buildIndex,
  type IndexEntry,
  type IndexOptions,
} from './push/build-index.ts'
export { type PushEvent, type PushOptions, type PushResult, push } from './push/push.ts'
export type {
  ContentLease,
  ContentName,
  ContentSource,
  ContentStore,
  ContentTarget,
  PutOptions,
  PutOutcome,
  ReferrersOptions,
  StoreCallOptions,
} from './store/content-store.ts'
export { layoutStore } from './store/layout-store.ts'
export { memoryStore } from './store/memory-store.ts'
export { registryStore } from './store/registry-store.ts'
export type { Task } from './task.ts'
export type {
  BlobTrace,
  PullTrace,
  PushTrace,
  RegistryTraces,
  RequestTrace,
  UploadTrace,
} from './tracing.ts'
