import { join } from 'node:path'
import { NamespaceError } from '@cromwell/ns-native'
import type { Reservation } from '@cromwell/runtime'
import { Container } from './container.ts'
import { writeContainerDirectory } from './container-directory.ts'
import { claimName, claimRandomName, releaseName } from './container-name.ts'
import { type ContainerRoot, makeComposedRoot, makeOverlayRoot } from './container-root.ts'
import type { EngineContext } from './context.ts'
import { EngineError } from './errors.ts'
import { ensureHome } from './home.ts'
import { ownershipFor } from './layers.ts'
import { type ContainerPlan, planContainer } from './plan-container.ts'
import { removeContainer } from './remove.ts'
import { openRootSource, type RootSource } from './root-source.ts'
import { checkRunOptions, type RunOptions } from './run-options.ts'

/** How a container gets a root of its own: by a mount that costs nothing, or by copying the image. */
type RootKind = 'overlay' | 'copy'

/** What `docker run` means; see Engine.run. */
export async function runContainer(
  context: EngineContext,
  options: RunOptions,
): Promise<Container> {
  checkRunOptions(options)
  ensureHome(context.home, context.host.uid)
  noteSingleId(context)
  const source = await openRootSource(context, options)
  options.signal?.throwIfAborted()
  const plan = planContainer(context, options, source)
  try {
    return await startContainer(context, options, { source, plan, kind: 'overlay' })
  } catch (error) {
    if (source.imageId === undefined || !isOverlayRefusal(error)) throw error
    context.onEvent({
      type: 'warning',
      code: 'copied-image',
      message: `copying the image, because ${context.home.directory} is on a file system that takes no overlay`,
      hint: 'set CROMWELL_HOME to a directory on ext4, xfs, btrfs or tmpfs',
    })
    return await startContainer(context, options, { source, plan, kind: 'copy' })
  }
}

interface StartOptions {
  source: RootSource
  plan: ContainerPlan
  kind: RootKind
}

async function startContainer(
  context: EngineContext,
  options: RunOptions,
  { source, plan, kind }: StartOptions,
): Promise<Container> {
  const { runtime, home } = context
  const { id, annotations } = plan
  const removeOnExit = options.removeOnExit ?? false
  const detached = options.detached ?? false
  const reservation = runtime.reserve({ id, annotations, removeOnExit })
  let name: string | undefined
  try {
    name = takeName(context, id, options.name)
    const root = await makeRoot(context, reservation, { source, kind, signal: options.signal })
    writeContainerDirectory(reservation.directory, plan, root)
    const running = await runtime.run(reservation, {
      idMapping: plan.bundle.idMapping,
      ...(root.overlay === undefined ? {} : { overlay: root.overlay }),
      stdio: options.stdio ?? (detached ? NO_STDIO : PIPES),
      detached,
      log: detached || !removeOnExit,
      alsoRemove: removeOnExit ? [join(home.names, name)] : [],
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    })
    return new Container(running, name, () => removeIfThere(context, id))
  } catch (error) {
    if (name !== undefined) releaseName(home, name, id)
    await runtime.release(reservation)
    throw error
  }
}

async function removeIfThere(context: EngineContext, id: string): Promise<void> {
  try {
    await removeContainer(context, id, { force: true })
  } catch (error) {
    if (!(error instanceof EngineError && error.code === 'ERR_ENGINE_CONTAINER_NOT_FOUND'))
      throw error
  }
}

const NO_STDIO = ['ignore', 'ignore', 'ignore'] as const
const PIPES = ['ignore', 'pipe', 'pipe'] as const

function takeName({ home }: EngineContext, id: string, name: string | undefined): string {
  if (name === undefined) return claimRandomName(home, id)
  claimName(home, name, id)
  return name
}

async function makeRoot(
  context: EngineContext,
  { directory, state }: Reservation,
  { source, kind, signal }: { source: RootSource; kind: RootKind; signal: AbortSignal | undefined },
): Promise<ContainerRoot> {
  const volatile = state.removeOnExit
  if (source.composed !== undefined) {
    return makeComposedRoot(directory, source, { root: source.composed, volatile })
  }
  if (kind === 'overlay') return makeOverlayRoot(directory, source, { volatile })
  const { startUnpackProcess } = await import('./unpack-process.ts')
  const worker = await startUnpackProcess(context.idMapping())
  try {
    const { lowerDirs } = source
    const target = join(directory, 'rootfs')
    const ownership = ownershipFor(context)
    await worker.perform({ kind: 'flatten', lowerDirs, target, ownership }, { signal })
  } finally {
    await worker.close()
  }
  return { mounts: [] }
}

function isOverlayRefusal(error: unknown): boolean {
  return error instanceof NamespaceError && error.step === 'root.overlay'
}

function noteSingleId({ idMapping, onEvent }: EngineContext): void {
  const { note } = idMapping()
  if (note !== undefined) onEvent({ type: 'warning', code: 'single-id', message: note })
}
