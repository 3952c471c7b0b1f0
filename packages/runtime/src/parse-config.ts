import type { SeccompProfile } from '@cromwell/ns-native'
import { RuntimeError } from './errors.ts'
import {
  type JsonValue,
  member,
  optional,
  readArray,
  readBoolean,
  readInteger,
  readObject,
  readString,
  readStringMap,
  readUnsigned,
} from './json-reader.ts'
import { readAttributes } from './process-attributes.ts'
import { readResources } from './resources.ts'
import type {
  CapabilitiesConfig,
  IdMappingConfig,
  LinuxConfig,
  MountConfig,
  ProcessConfig,
  RuntimeConfig,
} from './runtime-spec.ts'
import { refuseUnsupported } from './unsupported.ts'

/**
 * Read a bundle's `config.json`.
 *
 * Properties that the specification does not know are ignored, as it demands; those it knows and
 * this runtime cannot enforce are an error rather than a weaker container.
 * Throws RuntimeError ERR_RUNTIME_CONFIG or ERR_RUNTIME_UNSUPPORTED with a JSON pointer.
 */
export function parseConfig(text: string): RuntimeConfig {
  const config = readObject({ value: parseJson(text), pointer: '' })
  refuseUnsupported(config.value)
  const ociVersion = readString(member(config, 'ociVersion'))
  if (!ociVersion.startsWith('1.')) {
    throw invalid('/ociVersion', `has version ${ociVersion}, and only 1.x is understood`)
  }
  return {
    ociVersion,
    root: readRoot(readObject(member(config, 'root'))),
    process: readProcess(readObject(member(config, 'process'))),
    ...optional(config, 'hostname', readString),
    ...optional(config, 'domainname', readString),
    ...optional(config, 'mounts', (from) => readArray(from, readMount)),
    ...optional(config, 'linux', (from) => readLinux(readObject(from))),
    ...optional(config, 'annotations', readStringMap),
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new RuntimeError('ERR_RUNTIME_CONFIG', 'config.json is not JSON', { pointer: '', cause })
  }
}

function readRoot(root: JsonValue): RuntimeConfig['root'] {
  return {
    path: readString(member(root, 'path')),
    ...optional(root, 'readonly', readBoolean),
  }
}

function readProcess(process: JsonValue): ProcessConfig {
  const args = readArray(member(process, 'args'), readString)
  if (args.length === 0) throw invalid('/process/args', 'names no program to run')
  const cwd = readString(member(process, 'cwd'))
  if (!cwd.startsWith('/')) throw invalid('/process/cwd', 'is not an absolute path')
  return {
    ...optional(process, 'terminal', readBoolean),
    ...optional(process, 'consoleSize', readConsoleSize),
    user: readUser(readObject(member(process, 'user'))),
    args,
    ...optional(process, 'env', (from) => readArray(from, readString)),
    cwd,
    ...optional(process, 'capabilities', (from) => readCapabilities(readObject(from))),
    ...optional(process, 'noNewPrivileges', readBoolean),
    ...readAttributes(process),
  }
}

function readConsoleSize(from: JsonValue): { height: number; width: number } {
  const size = readObject(from)
  return {
    height: readUnsigned(member(size, 'height')),
    width: readUnsigned(member(size, 'width')),
  }
}

function readUser(user: JsonValue): ProcessConfig['user'] {
  return {
    uid: readUnsigned(member(user, 'uid')),
    gid: readUnsigned(member(user, 'gid')),
    ...optional(user, 'umask', readUnsigned),
    ...optional(user, 'additionalGids', (from) => readArray(from, readUnsigned)),
  }
}

function readCapabilities(sets: JsonValue): CapabilitiesConfig {
  const names = (from: JsonValue) => readArray(from, readString)
  return {
    ...optional(sets, 'bounding', names),
    ...optional(sets, 'effective', names),
    ...optional(sets, 'permitted', names),
    ...optional(sets, 'inheritable', names),
    ...optional(sets, 'ambient', names),
  }
}

function readMount(from: JsonValue): MountConfig {
  const mount = readObject(from)
  return {
    destination: readString(member(mount, 'destination')),
    ...optional(mount, 'type', readString),
    ...optional(mount, 'source', readString),
    ...optional(mount, 'options', (options) => readArray(options, readString)),
  }
}

function readLinux(linux: JsonValue): LinuxConfig {
  return {
    ...optional(linux, 'namespaces', (from) => readArray(from, readNamespace)),
    ...optional(linux, 'uidMappings', (from) => readArray(from, readIdMapping)),
    ...optional(linux, 'gidMappings', (from) => readArray(from, readIdMapping)),
    ...optional(linux, 'maskedPaths', (from) => readArray(from, readString)),
    ...optional(linux, 'readonlyPaths', (from) => readArray(from, readString)),
    ...optional(linux, 'rootfsPropagation', readString),
    // ns-native checks it, as it does every profile
    ...optional(linux, 'seccomp', (from) => readObject(from).value as SeccompProfile),
    ...optional(linux, 'timeOffsets', readTimeOffsets),
    ...optional(linux, 'resources', readResources),
    ...optional(linux, 'cgroupsPath', readString),
  }
}

function readTimeOffsets(from: JsonValue): NonNullable<LinuxConfig['timeOffsets']> {
  const clocks = readObject(from)
  const names = Object.keys(clocks.value as object) // checked by readObject
  return Object.fromEntries(
    names.map((name) => {
      const offset = readObject(member(clocks, name))
      const secs = member(offset, 'secs')
      return [
        name,
        {
          secs: secs.value === undefined ? 0 : readInteger(secs),
          ...optional(offset, 'nanosecs', readUnsigned),
        },
      ]
    }),
  )
}

function readNamespace(from: JsonValue): { type: string; path?: string } {
  const namespace = readObject(from)
  return {
    type: readString(member(namespace, 'type')),
    ...optional(namespace, 'path', readString),
  }
}

function readIdMapping(from: JsonValue): IdMappingConfig {
  const mapping = readObject(from)
  return {
    containerID: readUnsigned(member(mapping, 'containerID')),
    hostID: readUnsigned(member(mapping, 'hostID')),
    size: readUnsigned(member(mapping, 'size')),
  }
}

function invalid(pointer: string, why: string): RuntimeError {
  return new RuntimeError('ERR_RUNTIME_CONFIG', `config.json: ${pointer} ${why}`, { pointer })
}
