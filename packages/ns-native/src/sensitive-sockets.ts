import { existsSync, readdirSync } from 'node:fs'
import { basename, join, normalize } from 'node:path'

// Who can connect to one of these is root (container engines, systemd), the user outside (session
// bus, agents, terminal multiplexers) or sees and types what the user does (X11, Wayland). A mount
// namespace does not close a socket that is bound into it. `*` is any part of one name.
const PLACES = [
  '/run/docker.sock',
  '/run/docker',
  '/run/containerd',
  '/run/podman',
  '/run/crio',
  '/run/buildkit',
  '/run/cri-dockerd.sock',
  '/run/libvirt',
  '/run/incus',
  '/run/lxd.socket',
  '/run/snapd.socket',
  '/run/snapd-snap.socket',
  '/run/dbus',
  '/run/user',
  '/run/screen',
  '/run/tmux',
  '/run/pcscd',
  '/run/systemd/private',
  '/run/systemd/notify',
  '/run/systemd/journal',
  '/run/systemd/userdb',
  '/run/systemd/io.*',
  '/run/systemd/oom',
  '/tmp/.X11-unix',
  '/tmp/.ICE-unix',
  '/tmp/dbus-*',
  '/tmp/ssh-*',
  '/tmp/tmux-*',
  '/tmp/emacs*',
  '/tmp/pulse-*',
  '/tmp/.docker*',
  '/var/lib/incus/unix.socket',
  '/var/lib/lxd/unix.socket',
  '/var/snap/lxd/common/lxd/unix.socket',
] as const

// The same wherever they lie: rootless engines and agents choose the directory.
const NAMES = [
  'docker.sock',
  'docker-*.sock',
  'podman.sock',
  'containerd.sock',
  'crio.sock',
  'buildkitd.sock',
  'system_bus_socket',
  'S.gpg-agent*',
  'S.scdaemon',
  'agent.sock',
  'wayland-*',
]

const PLACE_PATTERNS = PLACES.map((place) => place.split('/').slice(1).map(matcher))
const NAME_PATTERNS = NAMES.map(matcher)

/**
 * Whether a path is, or lies in, a place for sockets that give power over the host or the session:
 * docker.sock and its like, D-Bus, X11, Wayland, agents, systemd, terminal multiplexers. Nothing is
 * looked up: resolve links first (`fs.realpathSync`). Whoever binds host paths should refuse these
 * unless they were named by themselves.
 */
export function isSensitiveSocket(path: string): boolean {
  const names = split(path)
  if (NAME_PATTERNS.some((pattern) => pattern.test(basename(path)))) return true
  return PLACE_PATTERNS.some(
    (place) =>
      place.length <= names.length && place.every((part, at) => part.test(names[at] ?? '')),
  )
}

/**
 * The known places of such sockets that exist below a directory: what has to be masked when it is
 * bound into a container as a whole. Only names that `isSensitiveSocket` knows by their place.
 */
export function sensitiveSocketsBelow(directory: string): string[] {
  const top = split(directory)
  const found = PLACES.flatMap((place) => {
    const parts = place.split('/').slice(1)
    const isBelow = top.length < parts.length && top.every((name, at) => matches(parts[at], name))
    return isBelow ? expand(`/${top.join('/')}`, parts.slice(top.length)) : []
  })
  return [...new Set(found)].sort()
}

function expand(directory: string, [part, ...rest]: readonly string[]): string[] {
  if (part === undefined) return [directory]
  return namesLike(directory, part).flatMap((name) => expand(join(directory, name), rest))
}

function namesLike(directory: string, part: string): string[] {
  if (!part.includes('*')) return existsSync(join(directory, part)) ? [part] : []
  try {
    return readdirSync(directory).filter((name) => matches(part, name))
  } catch {
    return [] // not there, or not ours to read: then not the container's either
  }
}

function matches(pattern: string | undefined, name: string): boolean {
  return pattern !== undefined && matcher(pattern).test(name)
}

function matcher(pattern: string): RegExp {
  const parts = pattern.split('*').map((part) => part.replace(/[.\\+?^${}()|[\]]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`)
}

/** The names of a path; /var/run is /run. */
function split(path: string): string[] {
  const names = normalize(path)
    .split('/')
    .filter((name) => name !== '')
  return names[0] === 'var' && names[1] === 'run' ? names.slice(1) : names
}
