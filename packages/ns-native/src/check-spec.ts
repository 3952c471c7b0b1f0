import { hostCgroupsIn } from './check-host-cgroups.ts'
import { checkLimits } from './check-limits.ts'
import { checkPrivilege } from './check-privilege.ts'
import {
  check,
  checkInteger,
  checkPath,
  checkText,
  each,
  PATH_MAX_BYTES,
  show,
} from './check-value.ts'

import { CAPABILITIES } from './defaults.ts'
import { MOUNT_KINDS } from './encode.ts'
import type {
  IdMapping,
  IdMappingPlan,
  InnerAddress,
  LaunchSpec,
  Mount,
  OverlaySpec,
  ProcessSpec,
  UplinkSpec,
} from './launch-spec.ts'

import { NAMESPACE_FLAGS } from './namespace-flags.ts'
import { isAddress } from './network/endpoint.ts'

const HOSTNAME_MAX_BYTES = 64
const LOWER_DIRS_MAX = 500
/** The same of an overlay that is not the root. */
const MOUNT_LOWER_DIRS_MAX = 64
const ID_RANGES_MAX = 340
const GROUPS_MAX = 65536
const LISTENERS_MAX = 64
const U32_MAX = 0xffffffff
/** CW_EXTRAS_MAX and CW_EXTRA_TARGET_MAX of the helper. */
const FDS_MAX = 32
const FD_NUMBER_MAX = 255
const SECCOMP_MAX_BYTES = 4096 * 8

/**
 * Throws ERR_NS_SPEC, with a JSON pointer, for a spec that the helper could not carry out or that
 * it would understand differently than it reads.
 */
export function checkSpec(spec: LaunchSpec, joining = false): void {
  const namespaces = new Set<string>(spec.namespaces)
  each(spec.namespaces, '/namespaces', (type, at) =>
    check(type in NAMESPACE_FLAGS, at, () => `unknown namespace type ${show(type)}`),
  )
  check(namespaces.size === spec.namespaces.length, '/namespaces', 'a type is named twice')
  checkIdMapping(spec.idMapping, namespaces.has('user'))
  checkHostname(spec.hostname, namespaces)
  checkRoot(spec, namespaces)
  each(spec.mounts, '/mounts', (mount, at) => checkMount(mount, at, namespaces))
  spec.mounts.forEach((_, index) => {
    const shown = hostCgroupsIn(spec, index)
    if (shown === undefined) return
    const why = `lets the host's cgroups be written to at ${shown}: make it readonly, cover or mask that, or say hostCgroups`
    check(false, `/mounts/${index}`, why)
  })
  each(spec.maskedPaths, '/maskedPaths', checkPath)
  each(spec.readonlyPaths, '/readonlyPaths', checkPath)
  checkProcess(spec.process)
  checkPrivilege(spec, namespaces)
  checkRootEmulation(spec, joining)
  checkMonitor(spec)
  checkNetwork(spec)
  checkLimits(spec)
}

function checkNetwork({ network, namespaces, joinNamespaces }: LaunchSpec): void {
  if (network === undefined) return
  const own = namespaces.includes('network') || joinNamespaces?.network !== undefined
  check(own, '/network', 'needs a network namespace, new or joined')
  const { listen = [], uplink } = network
  if (uplink !== undefined) checkUplink(uplink, namespaces)
  check(listen.length <= LISTENERS_MAX, '/network/listen', `has more than ${LISTENERS_MAX} entries`)
  each(listen, '/network/listen', checkAddress)
}

function checkUplink({ program, path }: UplinkSpec, namespaces: LaunchSpec['namespaces']): void {
  const at = '/network/uplink'
  check(namespaces.includes('network'), at, 'needs a new network namespace')
  const known = program === 'pasta' || program === 'slirp4netns'
  check(known, `${at}/program`, () => `unknown program ${show(program)}`)
  if (path !== undefined) checkPath(path, `${at}/path`)
}

function checkAddress({ host, port }: InnerAddress, pointer: string): void {
  const valid = host === undefined || isAddress(host)
  check(valid, `${pointer}/host`, () => `must be an IP address, but is ${show(host)}`)
  checkInteger(port, `${pointer}/port`, 0xffff)
}

function checkIdMapping(plan: IdMappingPlan | undefined, needed: boolean): void {
  check(!needed || plan !== undefined, '/idMapping', 'is needed for a user namespace')
  check(
    needed || plan === undefined,
    '/idMapping',
    'is for a user namespace, which is not asked for',
  )
  if (plan === undefined) return
  const known = plan.kind === 'identity' || plan.kind === 'subid' || plan.kind === 'single'
  check(known, '/idMapping/kind', () => `unknown kind ${show(plan.kind)}`)
  checkRanges(plan.uidMappings, '/idMapping/uidMappings')
  checkRanges(plan.gidMappings, '/idMapping/gidMappings')
  if (plan.kind !== 'subid') return
  checkPath(plan.newuidmap, '/idMapping/newuidmap')
  checkPath(plan.newgidmap, '/idMapping/newgidmap')
}

function checkRanges(ranges: readonly IdMapping[], pointer: string): void {
  const count = ranges.length
  check(count > 0 && count <= ID_RANGES_MAX, pointer, `must have 1 to ${ID_RANGES_MAX} entries`)
  each(ranges, pointer, ({ containerID, hostID, size }, at) => {
    checkInteger(containerID, `${at}/containerID`, U32_MAX - 1)
    checkInteger(hostID, `${at}/hostID`, U32_MAX - 1)
    checkInteger(size, `${at}/size`, U32_MAX, 1)
  })
}

function checkHostname(hostname: string | undefined, namespaces: Set<string>): void {
  if (hostname === undefined) return
  checkText(hostname, '/hostname')
  const bytes = Buffer.byteLength(hostname)
  check(bytes >= 1 && bytes <= HOSTNAME_MAX_BYTES, '/hostname', 'must have 1 to 64 bytes')
  check(namespaces.has('uts'), '/hostname', 'needs the uts namespace')
}

function checkRoot(
  { root, mounts, maskedPaths, readonlyPaths }: LaunchSpec,
  ns: Set<string>,
): void {
  const changesMounts = mounts.length + maskedPaths.length + readonlyPaths.length > 0
  check(ns.has('mount') || !changesMounts, '/mounts', 'needs the mount namespace')
  if (root === undefined) return
  check(ns.has('mount'), '/root', 'needs the mount namespace')
  if (root.tmpfs !== undefined) {
    check(root.path === undefined, '/root', 'has a path and a tmpfs, which are two roots')
    check(root.overlay === undefined, '/root', 'has an overlay and a tmpfs, which are two roots')
    checkTmpfs(root.tmpfs, '/root/tmpfs')
    return
  }
  checkPath(root.path, '/root/path')
  if (root.overlay !== undefined) checkOverlay(root.overlay, '/root/overlay', LOWER_DIRS_MAX)
}

function checkOverlay(overlay: OverlaySpec, pointer: string, max: number): void {
  const count = overlay.lowerDirs.length
  const at = `${pointer}/lowerDirs`
  check(count > 0 && count <= max, at, `must have 1 to ${max} entries`)
  each(overlay.lowerDirs, at, checkPath)
  checkPath(overlay.upperDir, `${pointer}/upperDir`)
  checkPath(overlay.workDir, `${pointer}/workDir`)
}

function checkMount(mount: Mount, pointer: string, namespaces: Set<string>): void {
  check(
    mount.type in MOUNT_KINDS,
    `${pointer}/type`,
    () => `unknown mount type ${show(mount.type)}`,
  )
  checkPath(mount.destination, `${pointer}/destination`)
  if (mount.type === 'bind') checkPath(mount.source, `${pointer}/source`)
  if (mount.type === 'tmpfs') checkTmpfs(mount, pointer)
  if (mount.type === 'file') checkFile(mount, pointer)
  if (mount.type === 'symlink') checkLink(mount.target, `${pointer}/target`)
  if (mount.type === 'overlay') checkOverlay(mount, pointer, MOUNT_LOWER_DIRS_MAX)
  if (mount.type === 'mqueue') {
    check(namespaces.has('ipc'), pointer, 'mqueue needs the ipc namespace')
  }
  if (mount.type !== 'dev') return
  check(mount.destination === '/dev', `${pointer}/destination`, 'must be /dev')
  if (mount.shmSizeBytes !== undefined) checkInteger(mount.shmSizeBytes, `${pointer}/shmSizeBytes`)
}

function checkTmpfs(tmpfs: { sizeBytes?: number; mode?: number }, pointer: string): void {
  if (tmpfs.sizeBytes !== undefined) checkInteger(tmpfs.sizeBytes, `${pointer}/sizeBytes`)
  if (tmpfs.mode !== undefined) checkInteger(tmpfs.mode, `${pointer}/mode`, 0o7777)
}

function checkFile(file: Extract<Mount, { type: 'file' }>, pointer: string): void {
  const { content, mode } = file
  const isContent = typeof content === 'string' || content instanceof Uint8Array
  check(isContent, `${pointer}/content`, 'must be a string or bytes')
  if (mode !== undefined) checkInteger(mode, `${pointer}/mode`, 0o7777)
}

function checkLink(target: string, pointer: string): void {
  checkText(target, pointer)
  const bytes = Buffer.byteLength(target)
  check(bytes >= 1 && bytes <= PATH_MAX_BYTES, pointer, `must have 1 to ${PATH_MAX_BYTES} bytes`)
}

function checkProcess(program: ProcessSpec): void {
  check(program.args.length > 0, '/process/args', 'must name a program')
  each(program.args, '/process/args', checkText)
  each(program.env, '/process/env', (entry, at) => {
    checkText(entry, at)
    check(entry.indexOf('=') > 0, at, 'must have the form KEY=value')
  })
  checkPath(program.cwd, '/process/cwd')
  checkInteger(program.uid, '/process/uid', U32_MAX - 1)
  checkInteger(program.gid, '/process/gid', U32_MAX - 1)
  const groups = '/process/additionalGids'
  check(program.additionalGids.length <= GROUPS_MAX, groups, `has more than ${GROUPS_MAX} entries`)
  each(program.additionalGids, groups, (gid, at) => checkInteger(gid, at, U32_MAX - 1))
  checkInteger(program.umask, '/process/umask', 0o777)
  if (program.terminal !== undefined) {
    checkInteger(program.terminal.columns, '/process/terminal/columns', 0xffff)
    checkInteger(program.terminal.rows, '/process/terminal/rows', 0xffff)
  }
  each(program.capabilities, '/process/capabilities', (name, at) =>
    check(Object.hasOwn(CAPABILITIES, name), at, () => `unknown capability ${show(name)}`),
  )
  checkSeccomp(program.seccomp)
}

function checkRootEmulation({ process: program, idMapping }: LaunchSpec, joining: boolean): void {
  if (program.rootEmulation !== true) return
  const at = '/process/rootEmulation'
  check(program.noNewPrivileges, at, 'needs noNewPrivileges')
  check(program.uid === 0, at, 'is for uid 0')
  const oneId = (ranges: readonly IdMapping[] | undefined, id: number) =>
    ranges?.length === 1 && ranges[0]?.size === 1 && ranges[0].containerID === id
  const single =
    oneId(idMapping?.uidMappings, program.uid) && oneId(idMapping?.gidMappings, program.gid)
  check(
    joining || single,
    at,
    'is for an idMapping of one user and one group, those of the process',
  )
}

function checkSeccomp(program: Uint8Array | undefined): void {
  if (program === undefined) return
  const valid =
    program.length > 0 && program.length % 8 === 0 && program.length <= SECCOMP_MAX_BYTES
  check(valid, '/process/seccomp', 'must be 1 to 4096 instructions of 8 bytes')
}

/** The same for the descriptors that are not part of the spec. */
export function checkFds(fds: Readonly<Record<number, number>>): void {
  const numbers = Object.keys(fds)
  check(numbers.length <= FDS_MAX, '/fds', `has more than ${FDS_MAX} entries`)
  for (const number of numbers) {
    const pointer = `/fds/${number}`
    checkInteger(Number(number), pointer, FD_NUMBER_MAX, 3)
    checkInteger(fds[Number(number)] ?? -1, pointer, 0x7fffffff)
  }
}

function checkMonitor({ monitor }: LaunchSpec): void {
  if (monitor?.logPath !== undefined) checkPath(monitor.logPath, '/monitor/logPath')
  if (monitor?.exitPath !== undefined) checkPath(monitor.exitPath, '/monitor/exitPath')
  if (monitor?.attachPath !== undefined) checkPath(monitor.attachPath, '/monitor/attachPath')
  each(monitor?.removeOnExit ?? [], '/monitor/removeOnExit', (path, at) => {
    checkPath(path, at)
    const names = path.split('/').filter((name) => name !== '')
    check(names.length > 0 && !names.includes('..'), at, 'must be a path below / without ..')
  })
}
