import {
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { PolicyError } from '../errors.ts'
import type { Mount } from '../launch-spec.ts'
import { isSensitiveSocket, sensitiveSocketsBelow } from '../sensitive-sockets.ts'
import { scratch } from '../spawn/system-root.ts'
import { isWithin } from './paths.ts'
import type { Place } from './places.ts'

/** What the helper is to do for a list of places. */
export interface MountPlan {
  /** In order. */
  mounts: Mount[]
  /** Covered at the very end: nothing visible lies in them. */
  maskedPaths: string[]
  readonlyPaths: string[]
}

/** Directories of the sandbox itself, made when they are needed. */
export interface StateDirectory {
  /** Undefined as long as nothing was made. */
  readonly path: string | undefined
  /** A new or known directory of that name. */
  directory(name: string): string
}

const BIND = { nosuid: true, nodev: true } as const

/**
 * How places become mounts. The order is theirs: deeper ones later, so a writable directory in a
 * hidden one is writable and a hidden one in a writable one is hidden. What is hidden or merely
 * holds mount points is never writable, and no mount point is ever made in a directory of the host.
 */
export function planMounts(places: readonly Place[], state: StateDirectory): MountPlan {
  const plan: MountPlan = { mounts: [], maskedPaths: [], readonlyPaths: [] }
  for (const place of places) {
    requireMountPoint(place, places)
    addPlace(plan, place, places, state)
  }
  for (const place of places) addSockets(plan, place, places)
  // it may lie in what is shown, and is nothing for those inside
  if (state.path !== undefined) plan.maskedPaths.push(realpathSync(state.path))
  return plan
}

function addPlace(
  plan: MountPlan,
  place: Place,
  places: readonly Place[],
  state: StateDirectory,
): void {
  const { path } = place
  if ('link' in place && place.link !== undefined && !isShown(place.link, places)) {
    plan.mounts.push({ type: 'symlink', destination: place.link, target: path })
  }
  switch (place.access) {
    case 'readOnly':
    case 'readWrite':
      plan.mounts.push(...binds(path, place.access === 'readOnly'))
      break
    case 'scratch':
      plan.mounts.push(scratch(path, place.sizeBytes))
      break
    case 'overlay':
      plan.mounts.push(overlay(path, state))
      break
    case 'protect':
      addProtected(plan, path, places)
      break
    case 'hide':
      addHidden(plan, place, places, state)
  }
}

/** The root cannot be mounted over itself: what is in it is taken one by one. */
function binds(path: string, readonly: boolean): Mount[] {
  if (path !== '/') return [bind(path, readonly)]
  return readdirSync('/', { withFileTypes: true })
    .filter(({ name }) => !['proc', 'dev', 'sys', 'tmp'].includes(name))
    .map((entry) => {
      const destination = `/${entry.name}`
      if (!entry.isSymbolicLink()) return bind(destination, readonly)
      return { type: 'symlink', destination, target: readlinkSync(destination) }
    })
}

function bind(path: string, readonly: boolean): Mount {
  // a device that was named is meant to work
  const nodev = !isWithin(path, '/dev')
  return { type: 'bind', source: path, destination: path, readonly, nosuid: true, nodev }
}

function overlay(path: string, state: StateDirectory): Mount {
  const id = encodeURIComponent(path)
  return {
    type: 'overlay',
    destination: path,
    lowerDirs: [path],
    upperDir: state.directory(join('upper', id)),
    workDir: state.directory(join('work', id)),
    ...BIND,
  }
}

function addProtected(plan: MountPlan, path: string, places: readonly Place[]): void {
  const parent = nearest(path, places)
  if (parent === undefined || parent.access === 'readOnly' || parent.access === 'hide') return
  if (parent.access === 'readWrite') plan.mounts.push(bind(path, true))
  // in an overlay what is meant is what is seen, not what lies below it
  else plan.readonlyPaths.push(path)
}

function addHidden(
  plan: MountPlan,
  { path, directory }: Place & { directory: boolean },
  places: readonly Place[],
  state: StateDirectory,
): void {
  const inside = places.filter((other) => other.path !== path && isWithin(other.path, path))
  const visible = inside.filter(({ access }) => access !== 'hide' && access !== 'protect')
  if (visible.length === 0 || !directory) {
    plan.maskedPaths.push(path)
    return
  }
  // A mask would cover what is visible in it, an empty tmpfs would be writable, and a read-only
  // one would have no place for the mount points: so a directory that has nothing but those.
  const source = state.directory(join('hidden', encodeURIComponent(path)))
  for (const other of visible) makeMountPoint(join(source, relative(path, other.path)), other)
  plan.mounts.push({
    type: 'bind',
    source,
    destination: path,
    readonly: true,
    noexec: true,
    ...BIND,
  })
}

function makeMountPoint(path: string, place: Place): void {
  const isDirectory = place.access === 'scratch' || place.directory
  mkdirSync(isDirectory ? path : dirname(path), { recursive: true })
  if (!isDirectory && !existsSync(path)) writeFileSync(path, '')
}

/** Whoever reaches a container engine's socket is root: none is visible unless it was named. */
function addSockets(plan: MountPlan, place: Place, places: readonly Place[]): void {
  if (place.access !== 'readOnly' && place.access !== 'readWrite' && place.access !== 'overlay') {
    return
  }
  if (isSensitiveSocket(place.path)) return
  for (const socket of sensitiveSocketsBelow(place.path)) {
    if (!places.some(({ path }) => isWithin(path, socket))) plan.maskedPaths.push(socket)
  }
}

/** A mount point that is missing would have to be made in a directory of the host. */
function requireMountPoint(place: Place, places: readonly Place[]): void {
  const { path, pointer } = place
  if (place.access !== 'scratch' || existsSync(path)) return
  const parent = nearest(path, places)
  if (parent === undefined || parent.access === 'scratch' || parent.access === 'hide') return
  throw new PolicyError(`${pointer}: there is no ${path}, and it lies in ${parent.path}`, {
    pointer,
    hint: 'make it first: nothing is ever made in a directory of yours',
  })
}

/** Whether a path shows something of the host. */
function isShown(path: string, places: readonly Place[]): boolean {
  const place = nearest(path, places)
  return place !== undefined && place.access !== 'scratch' && place.access !== 'hide'
}

/** The place that decides about a path, itself not counted. */
function nearest(path: string, places: readonly Place[]): Place | undefined {
  return places.findLast((place) => place.path !== path && isWithin(path, place.path))
}
