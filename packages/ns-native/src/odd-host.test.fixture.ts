import { fileURLToPath } from 'node:url'
import { ALLOW_ALL, containerSpec, singleId } from './container.test.fixture.ts'
import { CAPABILITIES } from './defaults.ts'
import type { LaunchSpec } from './launch-spec.ts'

// Hosts that a test wants odd, made by a namespace of this machine, and launches from within them.

/** The working directory in which Node finds this package by its name. */
export const packageDirectory = fileURLToPath(new URL('..', import.meta.url))

/** Launches the spec in its first argument; its own stdin and stdout are the program's. */
export const LAUNCH = `
const { launch } = await import('@cromwell/ns-native')
const { execFileSync } = await import('node:child_process')
const child = await launch(JSON.parse(process.argv[1]), { stdio: ['pipe', 'pipe', 2] })
`

/** A spec as JSON, without the filter, which is bytes. */
export function asJson(spec: LaunchSpec): string {
  const { seccomp: _, ...program } = spec.process
  return JSON.stringify({ ...spec, process: program })
}

/** A host of its own making: this machine's files, all capabilities, and these mounts. */
export function oddHost(args: readonly string[], mounts: LaunchSpec['mounts']): LaunchSpec {
  const capabilities = Object.keys(CAPABILITIES)
  const { process: base } = containerSpec(args, { process: { capabilities, seccomp: ALLOW_ALL } })
  return {
    namespaces: ['user', 'mount', 'pid'],
    idMapping: singleId,
    mounts: [...mounts, { type: 'proc', destination: '/proc' }],
    maskedPaths: [],
    readonlyPaths: [],
    process: { ...base, cwd: packageDirectory },
  }
}

/** The mapping of a container in an odd host, whose only id is 0. */
export const INNER_IDS = {
  kind: 'single' as const,
  uidMappings: [{ containerID: 0, hostID: 0, size: 1 }],
  gidMappings: [{ containerID: 0, hostID: 0, size: 1 }],
  key: 'single',
}
