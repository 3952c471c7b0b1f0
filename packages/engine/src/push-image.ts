import { familiarName, parseReference, type Reference } from '@cromwell/registry/reference'
import type { EngineContext } from './context.ts'
import { createClient, getImage } from './image.ts'

/** Options of {@link pushImage}. */
export interface PushImageOptions {
  /** The name at the registry. Default: the image's own. */
  destination?: string | undefined
  signal?: AbortSignal | undefined
}

/** An image as `push` leaves it at a registry. */
export interface PushedImage {
  /** Familiar name. */
  name: string
  /** Digest of what the name stands for now. */
  digest: string
  /** Bytes of its manifest. */
  sizeBytes: number
}

/** Bring an image that is here to a registry. Throws RegistryError, and EngineError ERR_ENGINE_IMAGE_NOT_FOUND. */
export async function pushImage(
  context: EngineContext,
  image: string,
  { destination = image, signal }: PushImageOptions = {},
): Promise<PushedImage> {
  const reference = parseReference(destination)
  const stored = await getImage(context, image, { policy: 'never', signal })
  const name = familiarName(reference)
  const layers = stored.layers.map(({ digest, size }) => ({ digest, size }))
  context.onEvent({ type: 'push-start', image: stored.name, destination: name, layers })
  const { layoutStore, push } = await import('@cromwell/registry')
  const client = await createClient(context)
  try {
    const source = { store: layoutStore(context.layout), name: stored.manifest.digest }
    const { descriptor } = await push(source, reference, {
      client,
      signal,
      mountFrom: mountable(stored.reference, reference),
      onEvent: (event) => context.onEvent({ type: 'push', image: stored.name, event }),
    })
    return { name, digest: descriptor.digest, sizeBytes: descriptor.size }
  } finally {
    await client.close()
  }
}

/** What came from the same registry need not go there again. */
function mountable(from: Reference, to: Reference): string[] | undefined {
  return from.registry === to.registry && from.repository !== to.repository
    ? [from.repository]
    : undefined
}
