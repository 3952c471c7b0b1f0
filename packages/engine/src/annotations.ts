/** What a container's state says about where it came from, in annotations of its config.json. */
export const ANNOTATIONS = {
  /** Familiar name of the image, or the root directory. */
  image: 'org.cromwell.image',
  /** Digest of the image's configuration. */
  imageId: 'org.cromwell.image-id',
  /** The command line, a JSON array. */
  command: 'org.cromwell.command',
  /** As the image specification converts StopSignal for runtimes (conversion.md). */
  stopSignal: 'org.opencontainers.image.stopSignal',
} as const
