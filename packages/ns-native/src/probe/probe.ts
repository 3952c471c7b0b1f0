import { release, tmpdir } from 'node:os'
import { findHelper, loadBinding } from '../binding.ts'
import { NamespaceError } from '../errors.ts'
import type { Facility, FacilityName } from '../facility.ts'
import { checkHost } from '../host-check.ts'
import { idMappingFacts, readText } from '../host-files.ts'
import { type SelectedIdMapping, selectIdMapping } from '../id-mapping.ts'
import { surroundings } from '../surroundings.ts'
import { kernelFacilities } from './kernel-facilities.ts'
import { networkPrograms } from './network-programs.ts'
import { outerSandbox } from './outer-sandbox.ts'

/** What this host can do, found out by doing it. */
export interface HostReport {
  /** Whether a sandbox can be made here. */
  ok: boolean
  platform: NodeJS.Platform
  arch: string
  /** As `uname -r` says it. */
  kernel: string
  facilities: Readonly<Partial<Record<FacilityName, Facility>>>
}

/** How to look. */
export interface ProbeOptions {
  /** An existing directory in which overlay is tried. Default: that for temporary files. */
  directory?: string
  /** Look again, even if nothing seems to have changed. */
  fresh?: boolean
}

const reports = new Map<string, Promise<HostReport>>()

/**
 * Which of the facilities that this package builds on work here, and for each that does not: the
 * errno, why, and what would change it. The helper really tries them, in children that are thrown
 * away. Takes some ten milliseconds once per boot, kernel and directory, and nothing after that.
 * Never rejects because of what the host lacks: on another system than Linux it says so.
 */
export function probe(options: ProbeOptions = {}): Promise<HostReport> {
  const directory = options.directory ?? tmpdir()
  const key = [readText('/proc/sys/kernel/random/boot_id').trim(), release(), directory].join('\n')
  const known = options.fresh === true ? undefined : reports.get(key)
  const report = known ?? look(directory)
  reports.set(key, report)
  return report
}

async function look(directory: string): Promise<HostReport> {
  const facilities = await lookAtAll(directory)
  const required: readonly FacilityName[] = ['linux', 'helper', 'user-namespaces', 'proc']
  return {
    ok: required.every((name) =>
      facilities.some((facility) => facility.name === name && facility.ok),
    ),
    platform: process.platform,
    arch: process.arch,
    kernel: release(),
    facilities: Object.fromEntries(facilities.map((facility) => [facility.name, facility])),
  }
}

async function lookAtAll(directory: string): Promise<Facility[]> {
  if (process.platform !== 'linux') return [notLinux()]
  const helper = helperFacility()
  const still = [
    { name: 'linux', ok: true, detail: release() } as const,
    helper,
    ...kernelFacilities(),
    outerSandbox(),
    ...networkPrograms(),
  ]
  if (!helper.ok) return still
  const idMapping = mapping()
  if ('name' in idMapping) return [...still, idMapping]
  return [...still, ...(await checkHost({ idMapping, directory }))]
}

function notLinux(): Facility {
  return {
    name: 'linux',
    ok: false,
    why: `this is ${process.platform}: namespaces are a facility of Linux`,
    fix: 'run this in a Linux virtual machine, such as WSL 2, Lima or a container’s host',
  }
}

function helperFacility(): Facility {
  try {
    const detail = findHelper()
    loadBinding()
    return { name: 'helper', ok: true, detail }
  } catch (error) {
    return failed('helper', error)
  }
}

function mapping(): SelectedIdMapping | Facility {
  try {
    return selectIdMapping(idMappingFacts(surroundings().env['PATH']))
  } catch (error) {
    return failed('id-mapping', error)
  }
}

function failed(name: FacilityName, error: unknown): Facility {
  if (!(error instanceof NamespaceError)) throw error
  const { message, hint, errno } = error
  return {
    name,
    ok: false,
    why: message,
    ...(errno === undefined ? {} : { errno }),
    ...(hint === undefined ? {} : { fix: hint }),
  }
}
