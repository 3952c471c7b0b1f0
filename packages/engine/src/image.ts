import type { PullResult, StoredImage } from '@cromwell/registry'
import {
  formatPlatform,
  hostPlatform,
  type Platform,
  parsePlatform,
} from '@cromwell/registry/platform'
import { familiarName, parseReference } from '@cromwell/registry/reference'
import type { EngineContext } from './context.ts'
import { EngineError } from './errors.ts'
import { ensureHome } from './home.ts'
import { registryOptions } from './registry-options.ts'

/** When `run` asks the registry: `always`, only if the image is `missing` here, or `never`. */
export type PullPolicy = 'always' | 'missing' | 'never'

/** Which image, and for which machine. */
export interface ImageOptions {
  /** `os/arch[/variant]`; default this machine's. */
  platform?: string | undefined
  signal?: AbortSignal | undefined
}

/**
 * The image of a name, pulled first where the policy says so. When it is here already, nothing that
 * talks to a network is even loaded.
 * Throws EngineError ERR_ENGINE_IMAGE_NOT_FOUND, and RegistryError.
 */
export async function getImage(
  context: EngineContext,
  image: string,
  options: ImageOptions & { policy: PullPolicy },
): Promise<StoredImage> {
  const reference = parseReference(image)
  if (options.policy !== 'always') {
    const found = await context.layout.find(reference, toPlatform(options.platform))
    if (found !== undefined) {
      if (options.platform === undefined) warnIfForeign(context, found)
      return found
    }
  }
  if (options.policy !== 'never') return (await pullImage(context, image, options)).image
  const name = familiarName(reference)
  throw new EngineError('ERR_ENGINE_IMAGE_NOT_FOUND', `the image ${name} is not on this machine`, {
    hint: `pull it first: cromwell pull ${name}`,
  })
}

/** What was pulled for another machine stays under its name; that it runs here takes an emulator. */
function warnIfForeign({ onEvent }: EngineContext, { name, config }: StoredImage): void {
  const here = hostPlatform()
  if (config.os === here.os && config.architecture === here.architecture) return
  const wanted = formatPlatform({ os: here.os, architecture: here.architecture })
  onEvent({
    type: 'warning',
    code: 'foreign-image',
    message: `${name} was pulled for ${formatPlatform(config)}, and this machine is ${wanted}`,
    hint: `cromwell pull --platform ${wanted} ${name}`,
  })
}

/** Bring an image up to date with its registry. Throws RegistryError. */
export async function pullImage(
  context: EngineContext,
  image: string,
  { platform, signal }: ImageOptions = {},
): Promise<PullResult> {
  const reference = parseReference(image)
  const wanted = toPlatform(platform)
  ensureHome(context.home, context.host.uid)
  const name = familiarName(reference)
  context.onEvent({ type: 'pull-start', image: name })
  const { pull } = await import('@cromwell/registry')
  const client = await createClient(context)
  try {
    return await pull(reference, context.layout, {
      client,
      platform: wanted,
      signal,
      onEvent: (event) => context.onEvent({ type: 'pull', image: name, event }),
    })
  } finally {
    await client.close()
  }
}

/** A client with this user's credentials and ways to registries; to be closed. */
export async function createClient(context: EngineContext) {
  const { createRegistryClient, fileCredentials } = await import('@cromwell/registry')
  const { files, helperEnv, client } = await registryOptions(context)
  return createRegistryClient({ ...client, credentials: fileCredentials({ ...files, helperEnv }) })
}

function toPlatform(platform: string | undefined): Platform | undefined {
  return platform === undefined ? undefined : parsePlatform(platform)
}
