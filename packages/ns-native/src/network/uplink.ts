import { accessSync, constants } from 'node:fs'
import { UnsupportedError } from '../errors.ts'
import { findProgram } from '../host-files.ts'
import type { UplinkSpec } from '../launch-spec.ts'

const TUN = '/dev/net/tun'
/** What to do when it cannot be opened. */
export const TUN_HINT =
  `allow it (chmod 666 ${TUN}, as distributions do; modprobe tun where it is missing), or do without: ` +
  'createProxy and publish need no TUN device'
const PACKAGES: Record<UplinkSpec['program'], string> = {
  pasta: 'passt',
  slirp4netns: 'slirp4netns',
}
const NAMESERVERS: Record<UplinkSpec['program'], string> = {
  pasta: '169.254.1.1',
  slirp4netns: '10.0.2.3',
}
/** native/init/uplink.c puts init's pid in its place. */
const PID = '%p'

/** The address inside under which the uplink answers DNS questions, for the container's resolv.conf. */
export function uplinkNameserver(program: UplinkSpec['program']): string {
  return NAMESERVERS[program]
}

/** The program and its arguments; it says that it is ready by writing to descriptor 3. */
export function uplinkArguments(uplink: UplinkSpec): string[] {
  const path = uplink.path ?? installed(uplink.program)
  if (uplink.path === undefined) checkTun(uplink.program)
  return [path, ...(uplink.program === 'pasta' ? pasta(uplink) : slirp4netns(uplink))]
}

// Without these it would forward every port that is open on either side's loopback.
function pasta({ hostLoopback = false }: UplinkSpec): string[] {
  return [
    ...['--config-net', '--foreground', '--quiet'],
    ...['-t', 'none', '-u', 'none', '-T', 'none', '-U', 'none'],
    ...(hostLoopback ? [] : ['--no-map-gw']),
    ...['--dns-forward', NAMESERVERS.pasta],
    // The pid file is written when everything is set up.
    ...['--pid', '/proc/self/fd/3'],
    ...(process.getuid?.() === 0 ? ['--runas', '0'] : []),
    PID,
  ]
}

function slirp4netns({ hostLoopback = false }: UplinkSpec): string[] {
  return [
    ...['--configure', '--mtu=65520', '--enable-sandbox', '--enable-seccomp', '--ready-fd=3'],
    ...(hostLoopback ? [] : ['--disable-host-loopback']),
    PID,
    'tap0',
  ]
}

/** The caller's PATH is not ours to trust. */
function installed(program: UplinkSpec['program']): string {
  const path = findProgram(program)
  if (path !== undefined) return path
  throw new UnsupportedError(
    `cannot connect the container's network: ${program} is not installed`,
    {
      missing: [program],
      hint: `install it (Debian: apt-get install ${PACKAGES[program]})`,
    },
  )
}

function checkTun(program: string): void {
  try {
    accessSync(TUN, constants.R_OK | constants.W_OK)
  } catch (cause) {
    throw new UnsupportedError(
      `cannot connect the container's network: ${program} needs ${TUN}, which this user may not open`,
      {
        missing: ['tun'],
        path: TUN,
        cause,
        hint: TUN_HINT,
      },
    )
  }
}
