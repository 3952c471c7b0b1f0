import type { LoginResult } from '@cromwell/registry'
import type { Container } from './container.ts'
import { createContext } from './context.ts'
import type { OnEvent } from './event.ts'
import type { HostFacts } from './host-facts.ts'
import { type ImageOptions, pullImage } from './image.ts'
import { type ContainerSummary, listContainers } from './list.ts'
import {
  checkLogin,
  type LoginOptions,
  type LogoutResult,
  logIn,
  logOut,
  type StoredLogin,
} from './login.ts'
import { type LogEntry, type LogOptions, readLogs } from './logs.ts'
import { type PushedImage, type PushImageOptions, pushImage } from './push-image.ts'
import { removeContainer } from './remove.ts'
import { runContainer } from './run.ts'
import type { RunOptions } from './run-options.ts'
import { type StopOptions, stopContainer } from './stop.ts'
import { tagImage } from './tag-image.ts'

/** What an engine works on. */
export interface EngineOptions {
  /** Where images, layers and containers live. Absolute; created, closed to others, when first needed. */
  home: string
  /** See `readHostFacts`. */
  host: HostFacts
  /** Called synchronously with what is being done. */
  onEvent?: OnEvent
}

/** An image as `pull` leaves it. */
export interface PulledImage {
  /** Familiar name. */
  name: string
  /** Digest of the image's configuration. */
  id: string
  /** Digest of what the name stands for at the registry. */
  digest: string
  status: 'downloaded' | 'up-to-date'
}

/** Containers from images, without a daemon. Containers are named by id, unique prefix of it, or name. */
export interface Engine {
  /** Bring an image up to date with its registry. Throws RegistryError. */
  pull(image: string, options?: ImageOptions): Promise<PulledImage>
  /**
   * Bring an image that is here to a registry, under its own name or another one. What the registry
   * has is not sent again. Throws RegistryError, and EngineError ERR_ENGINE_IMAGE_NOT_FOUND.
   */
  push(image: string, options?: PushImageOptions): Promise<PushedImage>
  /** Give an image that is here another name. Throws EngineError ERR_ENGINE_IMAGE_NOT_FOUND, and RegistryError. */
  tag(image: string, name: string): Promise<void>
  /**
   * Have a registry check user and password, and keep them where docker and podman look, too.
   * `registry` is a host, `docker.io` for Docker Hub. Throws RegistryError.
   */
  login(registry: string, options: LoginOptions): Promise<LoginResult>
  /** Have a registry check what is stored for it; undefined if there is nothing. Throws RegistryError. */
  checkLogin(
    registry: string,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<StoredLogin | undefined>
  /** Forget what is stored for a registry, wherever `pull` would find it. Throws RegistryError. */
  logout(registry: string, options?: { signal?: AbortSignal | undefined }): Promise<LogoutResult>
  /**
   * Run a container; resolves once its program has been executed. When it fails nothing is left
   * but what was pulled and unpacked. Throws EngineError, RegistryError, RootfsError, RuntimeError,
   * and NamespaceError, whose code ERR_NS_EXEC says that the program cannot be executed.
   */
  run(options: RunOptions): Promise<Container>
  /** What runs, or with `all` every container, newest first. */
  list(options?: { all?: boolean }): Promise<ContainerSummary[]>
  /** End a container with its stop signal, and by force after a timeout. */
  stop(container: string, options?: StopOptions): Promise<void>
  /** Remove a container that has ended; with `force` also one that runs. */
  remove(container: string, options?: { force?: boolean }): Promise<void>
  /** What a container has written. */
  logs(container: string, options?: LogOptions): AsyncGenerator<LogEntry>
}

/** Make an engine. It holds nothing open, so there is nothing to close; any number may share a home. */
export function createEngine(options: EngineOptions): Engine {
  const context = createContext(options.home, options.host, options.onEvent ?? (() => {}))
  return {
    async pull(image, pullOptions) {
      const { image: stored, status } = await pullImage(context, image, pullOptions)
      const { name, configDigest, resolvedDigest } = stored
      return { name, id: configDigest, digest: resolvedDigest, status }
    },
    push: (image, pushOptions) => pushImage(context, image, pushOptions),
    tag: (image, name) => tagImage(context, image, name),
    login: (registry, loginOptions) => logIn(context, registry, loginOptions),
    checkLogin: (registry, checkOptions) => checkLogin(context, registry, checkOptions),
    logout: (registry, logoutOptions) => logOut(context, registry, logoutOptions),
    run: (runOptions) => runContainer(context, runOptions),
    list: (listOptions) => listContainers(context, listOptions),
    stop: (container, stopOptions) => stopContainer(context, container, stopOptions),
    remove: (container, removeOptions) => removeContainer(context, container, removeOptions),
    logs: (container, logOptions) => readLogs(context, container, logOptions),
  }
}
