import { describe, expect, it } from 'vitest'
import type { AddressZone } from './address.ts'
import { createHopGuard, type HopGuard } from './hop-guard.ts'
import type { NetworkPolicy } from './network-policy.ts'

/** One address of each zone, and where each of the hosts was reached. */
const HOSTS = {
  'public.example': '8.8.8.8',
  'private.example': '10.0.0.1',
  'here.example': '127.0.0.1',
  'link.example': '169.254.1.1',
}

type Case = [policy: NetworkPolicy['allowPrivate'], by: string, address: string, allowed: boolean]

const CASES: Case[] = [
  ['same-origin', 'public.example', '1.1.1.1', true],
  ['same-origin', 'public.example', '10.0.0.2', false],
  ['same-origin', 'public.example', '127.0.0.1', false],
  ['same-origin', 'public.example', '0.0.0.0', false],
  ['same-origin', 'public.example', '169.254.169.254', false],
  ['same-origin', 'public.example', '100.64.0.1', false],
  ['same-origin', 'public.example', 'fd00::1', false],
  ['same-origin', 'public.example', '::ffff:10.0.0.1', false],
  ['same-origin', 'public.example', '168.63.129.16', false],
  ['same-origin', 'public.example', '192.0.2.1', false],
  ['same-origin', 'private.example', '1.1.1.1', true],
  ['same-origin', 'private.example', '10.0.0.1', true],
  ['same-origin', 'private.example', '10.0.0.2', false],
  ['same-origin', 'private.example', '127.0.0.1', false],
  ['same-origin', 'private.example', '169.254.169.254', false],
  ['same-origin', 'here.example', '127.0.0.2', true],
  ['same-origin', 'here.example', '::1', true],
  ['same-origin', 'here.example', '10.0.0.1', false],
  ['same-origin', 'link.example', '169.254.1.1', true],
  ['same-origin', 'link.example', '169.254.169.254', false],
  // Nothing is known of a host behind a proxy: it counts as public.
  ['same-origin', 'unknown.example', '1.1.1.1', true],
  ['same-origin', 'unknown.example', '10.0.0.1', false],
  ['same-origin', '10.0.0.1', '10.0.0.1', true],
  ['same-origin', '10.0.0.1', '10.0.0.2', false],
  [true, 'private.example', '10.0.0.2', true],
  [true, 'private.example', '127.0.0.1', false],
  [true, 'private.example', '169.254.169.254', false],
  [true, 'private.example', '168.63.129.16', false],
  [true, 'here.example', '10.0.0.2', true],
  [true, 'public.example', '10.0.0.2', false],
  [true, 'public.example', '127.0.0.1', false],
  [true, 'unknown.example', '10.0.0.2', false],
  [false, 'private.example', '10.0.0.1', false],
  [false, 'here.example', '127.0.0.1', false],
  [false, 'private.example', '1.1.1.1', true],
]

describe('a hop', () => {
  it.each(CASES)(
    'with allowPrivate %s from %s to %s is allowed: %s',
    (allowPrivate, by, address, allowed) => {
      const guard = guardWith({ allowPrivate: allowPrivate ?? 'same-origin' })
      const connection = { host: 'target.example', port: 443, protocol: 'https:', by }
      expect(guard.refusal(connection, address) === undefined).toBe(allowed)
    },
  )

  it('to a host of the same name may be to another of its private addresses, unless it was public', () => {
    const guard = guardWith({})
    const same = (by: string) => ({ host: by, port: 5001, protocol: 'https:', by })
    expect(guard.refusal(same('private.example'), '10.0.0.9')).toBeUndefined()
    expect(guard.refusal(same('private.example'), '127.0.0.1')).toContain('of this machine')
    expect(guard.refusal(same('public.example'), '10.0.0.9')).toContain('private')
  })

  it('to a trusted host may be to anywhere', () => {
    const guard = guardWith({ trustedRealms: ['auth.example', 'port.example:8443'] })
    const to = (host: string, port: number) =>
      guard.refusal({ host, port, protocol: 'https:', by: 'public.example' }, '10.0.0.9')
    expect(to('auth.example', 443)).toBeUndefined()
    expect(to('auth.example', 8443)).toBeUndefined()
    expect(to('port.example', 8443)).toBeUndefined()
    expect(to('port.example', 443)).toBeDefined()
    expect(to('sub.auth.example', 443)).toBeDefined()
  })
})

describe('a host that the caller named', () => {
  it.each(['8.8.8.8', '10.0.0.1', '127.0.0.1', '169.254.169.254'])('may be at %s', (address) => {
    const connection = { host: 'named.example', port: 443, protocol: 'https:' }
    expect(guardWith({}).refusal(connection, address)).toBeUndefined()
  })

  it('does not wander from the world to the inside while there is no TLS to tell it by', () => {
    const named = (protocol: string) => ({ host: 'public.example', port: 80, protocol })
    expect(guardWith({}).refusal(named('http:'), '10.0.0.1')).toContain('had a public one before')
    expect(guardWith({}).refusal(named('http:'), '1.1.1.1')).toBeUndefined()
    expect(guardWith({}).refusal(named('https:'), '10.0.0.1')).toBeUndefined()
    const home = { host: 'private.example', port: 80, protocol: 'http:' }
    expect(guardWith({}).refusal(home, '10.0.0.2')).toBeUndefined()
  })
})

it('judges by the zones it is given', () => {
  const zoneOf = (address: string): AddressZone => (address === 'a' ? 'private' : 'public')
  const guard = createHopGuard({}, zoneOf)
  const connection = { host: 'x', port: 1, protocol: 'https:', by: 'y' }
  expect(guard.refusal(connection, 'a')).toBeDefined()
  expect(guard.refusal(connection, 'b')).toBeUndefined()
})

function guardWith(policy: NetworkPolicy): HopGuard {
  const guard = createHopGuard(policy)
  for (const [host, address] of Object.entries(HOSTS)) guard.reached(host, address)
  return guard
}
