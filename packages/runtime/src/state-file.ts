import type { ProcessIdentity } from '@cromwell/pidstore'
import { replaceFile } from './atomic-file.ts'
import {
  member,
  optional,
  readBoolean,
  readObject,
  readString,
  readStringMap,
} from './json-reader.ts'
import { readSmallFile } from './small-file.ts'

/**
 * `state.json`: what about a container does not follow from its pid file and its exit record.
 * Nothing in it has to be rewritten when the container ends, so nothing can be left untrue.
 */
export interface StateFile {
  ociVersion: string
  id: string
  /** Absolute directory of config.json. */
  bundle: string
  annotations: Record<string, string>
  /** RFC 3339. */
  createdAt: string
  /** RFC 3339, once it has run. */
  startedAt?: string
  /** It is to vanish when it ends. */
  removeOnExit: boolean
  /** The process that set it up: if that is gone and the container never ran, it never will. */
  creator: ProcessIdentity
}

export function writeStateFile(path: string, state: StateFile, durable: boolean): void {
  replaceFile(path, `${JSON.stringify(state)}\n`, { durable })
}

/** Undefined when there is no such file. Throws when it is not a state file. */
export function readStateFile(path: string): StateFile | undefined {
  const text = readSmallFile(path)
  if (text === undefined) return undefined
  const state = readObject({ value: JSON.parse(text), pointer: '' })
  return {
    ociVersion: readString(member(state, 'ociVersion')),
    id: readString(member(state, 'id')),
    bundle: readString(member(state, 'bundle')),
    annotations: readStringMap(member(state, 'annotations')),
    createdAt: readString(member(state, 'createdAt')),
    ...optional(state, 'startedAt', readString),
    removeOnExit: readBoolean(member(state, 'removeOnExit')),
    // Only ever handed back to pidstore's checkProcess, which verifies what it is given.
    creator: readObject(member(state, 'creator')).value as unknown as ProcessIdentity,
  }
}
