import { currentFacts } from './cgroup/facts.ts'
import { type Controller, findPlaces, type Place, type PlaceFacts } from './cgroup/place.ts'
import type { Facility } from './facility.ts'

const CONTROLLERS: readonly Controller[] = ['memory', 'cpu', 'pids', 'io']

/**
 * Who holds limits here, and which; only looks. Every launch with limits asks the same question, so
 * what this says is what such a launch gets.
 */
export function cgroupFacility(facts: PlaceFacts = currentFacts()): Facility {
  const name = 'cgroup'
  const version = versionOf(facts)
  const [place] = findPlaces(CONTROLLERS, facts)
  if (place === undefined || place.controllers.size === 0) {
    return { name, ok: false, detail: version, why: WITHOUT, ...remedy(facts) }
  }
  const held = CONTROLLERS.filter((controller) => place.controllers.has(controller))
  const missing = CONTROLLERS.filter((controller) => !place.controllers.has(controller))
  return {
    name,
    ok: true,
    detail: `${version}, ${held.join(' ')}${SOURCES[place.kind]}`,
    ...(missing.length === 0 ? {} : { why: lacking(missing), ...handedDown(place, facts) }),
  }
}

const SOURCES = { cgroup2: '', systemd: ', from systemd', cgroup1: '' } as const

const WITHOUT =
  'there is no control group that this process may make others in: limits on memory and processes ' +
  'are watched by the monitor instead, those on processors are whole ones, and there are none on io'

function versionOf({ layout: { v1, v2 } }: PlaceFacts): string {
  if (v2 === undefined) return v1.size === 0 ? 'none' : 'v1'
  return v1.size === 0 ? 'v2' : 'hybrid'
}

function remedy({ layout: { v1 }, systemd }: PlaceFacts): { fix: string } | undefined {
  if (!systemd) return undefined
  return {
    fix:
      v1.size > 0
        ? 'boot with systemd.unified_cgroup_hierarchy=1'
        : 'give the user a systemd of its own: loginctl enable-linger USER, or log in by PAM; or start ' +
          'this as a service with Delegate=yes',
  }
}

function lacking(missing: readonly Controller[]): string {
  return `nothing here can limit ${missing.join(', ')}: no such controller is handed down to this user`
}

// what systemd hands down to its users is said in one place
function handedDown({ kind }: Place, { systemd }: PlaceFacts): { fix: string } | undefined {
  if (kind !== 'systemd' || !systemd || process.geteuid?.() === 0) return undefined
  return {
    fix:
      'systemctl edit user@.service, with the lines [Service] and Delegate=cpu cpuset io memory pids; ' +
      'then log in again',
  }
}
