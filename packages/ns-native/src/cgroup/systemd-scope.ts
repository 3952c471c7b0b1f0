import { existsSync, readFileSync } from 'node:fs'
import { SetupError } from '../errors.ts'
import { converse, type DbusCall, type DbusMessage, type DbusValue } from './dbus.ts'
import { parseGroups } from './layout.ts'

/** A systemd that this process may ask for a scope: the user's own, or for root the system's. */
export interface SystemdManager {
  /** Unix sockets, best first; `bus`: a D-Bus daemon listens there, and not systemd itself. */
  sockets: readonly { path: string; bus: boolean }[]
  /** The manager's own group, below the mount point. */
  group: string
}

/** The manager for this user; undefined where systemd does not run, or does not for this user. */
export function findManager(uid = process.getuid?.() ?? -1): SystemdManager | undefined {
  if (!existsSync('/run/systemd/system')) return undefined
  const group = uid === 0 ? '' : `user.slice/user-${uid}.slice/user@${uid}.service`
  const runtime = uid === 0 ? '/run' : `/run/user/${uid}`
  const bus = uid === 0 ? '/run/dbus/system_bus_socket' : `${runtime}/bus`
  // without a bus (Debian without dbus-user-session) systemd still listens itself
  const sockets = [
    { path: bus, bus: true },
    { path: `${runtime}/systemd/private`, bus: false },
  ].filter(({ path }) => existsSync(path))
  return sockets.length === 0 ? undefined : { sockets, group }
}

const BUS = {
  destination: 'org.freedesktop.DBus',
  path: '/org/freedesktop/DBus',
  interface: 'org.freedesktop.DBus',
}
const SYSTEMD = {
  destination: 'org.freedesktop.systemd1',
  path: '/org/freedesktop/systemd1',
  interface: 'org.freedesktop.systemd1.Manager',
}

/** The calls that make a transient scope with `pid` in it, which is then ours to divide. */
export function scopeCalls(name: string, pid: number, bus: boolean): DbusCall[] {
  const match = "type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'"
  return [
    ...(bus
      ? [
          { ...BUS, member: 'Hello' },
          { ...BUS, member: 'AddMatch', body: [{ type: 's', value: match } as const] },
        ]
      : []),
    { ...SYSTEMD, member: 'Subscribe' },
    {
      ...SYSTEMD,
      member: 'StartTransientUnit',
      body: [
        { type: 's', value: name },
        { type: 's', value: 'fail' },
        {
          type: 'a(sv)',
          value: [
            ['Description', { type: 's', value: 'limits of a contained process' }],
            ['PIDs', { type: 'au', value: [pid] }],
            ['Delegate', { type: 'b', value: true }],
            ['CollectMode', { type: 's', value: 'inactive-or-failed' }],
          ],
        },
        { type: 'a(sa(sv))' },
      ],
    },
  ]
}

/**
 * Have systemd put a process into a new scope that is delegated to this user; resolves with the
 * scope's group, below the mount point. The scope ends with its last process.
 */
export async function startScope(manager: SystemdManager, pid: number): Promise<string> {
  const name = `cromwell-${pid}-${Date.now().toString(36)}.scope`
  await ask(manager, (bus) => {
    const calls = scopeCalls(name, pid, bus)
    return { calls, hear: scopeListener(calls.length) }
  })
  return groupIn(name, pid)
}

/** Have systemd put a process into a group of a scope that is there already. */
export async function attachToScope(
  manager: SystemdManager,
  { scope, group, pid }: { scope: string; group: string; pid: number },
): Promise<void> {
  await ask(manager, (bus) => {
    const body: DbusValue[] = [
      { type: 's', value: scope },
      { type: 's', value: group },
      { type: 'au', value: [pid] },
    ]
    const attach = { ...SYSTEMD, member: 'AttachProcessesToUnit', body }
    const calls = bus ? [{ ...BUS, member: 'Hello' }, attach] : [attach]
    return { calls, hear: answerListener(calls.length) }
  })
  groupIn(scope, pid)
}

// The first of its sockets where somebody listens.
async function ask(
  { sockets }: SystemdManager,
  talk: (bus: boolean) => { calls: DbusCall[]; hear: (message: DbusMessage) => true | undefined },
): Promise<void> {
  for (const [index, { path, bus }] of sockets.entries()) {
    const { calls, hear } = talk(bus)
    try {
      await converse(path, calls, hear)
      return
    } catch (error) {
      if (nobodyListens(error) && index + 1 < sockets.length) continue
      throw new SetupError(`cannot get a control group from systemd: ${reason(error)}`, {
        step: 'cgroup',
        path,
        hint: 'see journalctl (with --user, for a user) for why',
        cause: error,
      })
    }
  }
}

function groupIn(scope: string, pid: number): string {
  const group = parseGroups(readFileSync(`/proc/${pid}/cgroup`, 'utf8')).get('')
  if (group?.split('/').includes(scope)) return group
  throw new SetupError(`systemd did not put process ${pid} into ${scope}`, {
    step: 'cgroup',
    hint: 'the process may have ended, or systemd may not be allowed to move it',
  })
}

/** Hears until the last call is answered; throws when it was refused. */
function answerListener(last: number): (message: DbusMessage) => true | undefined {
  return ({ type, replyTo, errorName, body }) => {
    if (replyTo !== last) return undefined
    if (type === 'error') throw new Error(`${errorName}: ${body[0] ?? ''}`)
    return true
  }
}

/** Hears until the job of the last call is done; throws when it failed. Exported for its test. */
export function scopeListener(last: number): (message: DbusMessage) => true | undefined {
  const done = new Map<string, string>()
  let job: string | undefined
  return (message) => {
    if (message.type === 'error' && message.replyTo >= last - 1) {
      throw new Error(`${message.errorName}: ${message.body[0] ?? ''}`)
    }
    if (message.type === 'return' && message.replyTo === last) job = String(message.body[0])
    if (message.type === 'signal' && message.member === 'JobRemoved') {
      const [, path, , result] = message.body
      done.set(String(path), String(result))
    }
    const result = job === undefined ? undefined : done.get(job)
    if (result === undefined) return undefined
    if (result !== 'done') throw new Error(`the job ended as ${result}`)
    return true
  }
}

// What its daemon has left behind when it ended.
function nobodyListens(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED'
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
