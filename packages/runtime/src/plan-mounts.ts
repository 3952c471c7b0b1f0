import type { Mount } from '@cromwell/ns-native'
import { type MountOptions, parseMountOptions } from './mount-options.ts'
import type { MountConfig } from './runtime-spec.ts'
import { unsupported } from './unsupported.ts'

/** Mounts below /dev that the helper makes together with /dev itself. */
const PART_OF_DEV: Record<string, string> = {
  '/dev/pts': 'devpts',
  '/dev/shm': 'tmpfs',
  '/dev/mqueue': 'mqueue',
}

/**
 * The mounts of config.json as steps for the helper. /dev with its pts, shm and mqueue becomes the
 * one `dev` step, which fills it with the specification's default devices.
 */
export function planMounts(mounts: readonly MountConfig[]): Mount[] {
  const devIndex = mounts.findIndex(isFreshDev)
  return mounts.flatMap((mount, index) => {
    const pointer = `/mounts/${index}`
    if (!mount.destination.startsWith('/')) {
      throw unsupported(`${pointer}/destination`, 'is not an absolute path')
    }
    if (index === devIndex) return [planDev(mounts)]
    const type = PART_OF_DEV[mount.destination]
    if (type !== undefined && type === mount.type && devIndex >= 0) return []
    return [planMount(mount, pointer)]
  })
}

function isFreshDev(mount: MountConfig): boolean {
  return mount.destination === '/dev' && mount.type === 'tmpfs'
}

function planDev(mounts: readonly MountConfig[]): Mount {
  const index = mounts.findIndex((mount) => mount.destination === '/dev/shm')
  const shm = mounts[index]
  if (shm?.type !== 'tmpfs') return { type: 'dev', destination: '/dev' }
  const { sizeBytes } = parseMountOptions(shm.options ?? [], `/mounts/${index}/options`)
  return {
    type: 'dev',
    destination: '/dev',
    ...(sizeBytes === undefined ? {} : { shmSizeBytes: sizeBytes }),
  }
}

function planMount(mount: MountConfig, pointer: string): Mount {
  const { destination } = mount
  if (mount.type === 'overlay') return planOverlay(mount, pointer)
  const options = parseMountOptions(mount.options ?? [], `${pointer}/options`)
  const flags = flagsOf(options)
  if (options.bind || mount.type === 'bind') {
    if (mount.source === undefined || !mount.source.startsWith('/')) {
      throw unsupported(`${pointer}/source`, 'is not an absolute path')
    }
    return { type: 'bind', source: mount.source, destination, ...flags }
  }
  switch (mount.type) {
    case 'tmpfs':
      return {
        type: 'tmpfs',
        destination,
        ...flags,
        ...(options.sizeBytes === undefined ? {} : { sizeBytes: options.sizeBytes }),
        ...(options.mode === undefined ? {} : { mode: options.mode }),
      }
    case 'proc':
    case 'sysfs':
    case 'mqueue':
      return { type: mount.type, destination, ...flags }
    case 'cgroup':
    case 'cgroup2':
      return { type: 'cgroup', destination, ...flags }
    default:
      throw unsupported(`${pointer}/type`, `has the file system ${JSON.stringify(mount.type)}`)
  }
}

/** Options as in the kernel's overlayfs.rst; lower directories are listed top first there. */
function planOverlay(mount: MountConfig, pointer: string): Mount {
  const directories = new Map<string, string>()
  const others: string[] = []
  for (const word of mount.options ?? []) {
    const [, key, value] = /^(lowerdir|upperdir|workdir)=(\/.*)$/s.exec(word) ?? []
    if (key !== undefined && value !== undefined) directories.set(key, value)
    else if (word !== 'userxattr' && word !== 'volatile') others.push(word)
  }
  const lower = directories.get('lowerdir')
  const upperDir = directories.get('upperdir')
  const workDir = directories.get('workdir')
  if (lower === undefined || upperDir === undefined || workDir === undefined) {
    throw unsupported(`${pointer}/options`, 'lacks an absolute lowerdir, upperdir or workdir')
  }
  return {
    type: 'overlay',
    destination: mount.destination,
    lowerDirs: splitLowerDirs(lower).reverse(),
    upperDir,
    workDir,
    ...(mount.options?.includes('volatile') === true ? { volatile: true } : {}),
    ...flagsOf(parseMountOptions(others, `${pointer}/options`)),
  }
}

/** Separated by colons; a backslash keeps a colon or a backslash in a name. */
function splitLowerDirs(text: string): string[] {
  const escaped = text.match(/(?:\\.|[^:\\])+/gs) ?? []
  return escaped.map((path) => path.replace(/\\(.)/gs, '$1'))
}

function flagsOf(options: MountOptions): {
  [K in 'readonly' | 'nosuid' | 'nodev' | 'noexec']?: true
} {
  return {
    ...(options.readonly ? { readonly: true } : {}),
    ...(options.nosuid ? { nosuid: true } : {}),
    ...(options.nodev ? { nodev: true } : {}),
    ...(options.noexec ? { noexec: true } : {}),
  }
}
