import { parseReference } from '@cromwell/registry/reference'
import type { EngineContext } from './context.ts'
import { EngineError } from './errors.ts'
import { getImage } from './image.ts'

/** Give an image that is here another name. Throws EngineError ERR_ENGINE_IMAGE_NOT_FOUND, and RegistryError. */
export async function tagImage(context: EngineContext, image: string, name: string): Promise<void> {
  const reference = parseReference(name)
  if (reference.digest !== undefined) {
    throw new EngineError('ERR_ENGINE_OPTION', `an image cannot be given the name ${name}`, {
      hint: 'leave out the digest: it follows from the image',
    })
  }
  const { manifest, resolvedDigest } = await getImage(context, image, { policy: 'never' })
  await context.layout.tag(reference, manifest, { resolvedDigest })
}
