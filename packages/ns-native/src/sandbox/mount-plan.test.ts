import { expect, test } from 'vitest'
import { planMounts, type StateDirectory } from './mount-plan.ts'
import type { Place } from './places.ts'

const state: StateDirectory = { path: undefined, directory: (name) => `/state/${name}` }

const place = (path: string, access: 'readOnly' | 'readWrite' | 'protect' | 'hide'): Place => ({
  path,
  pointer: `/files/${access}/0`,
  access,
  directory: true,
})

test('mounts never bring set-user-ID programs or devices along, but for devices that are named', () => {
  const { mounts } = planMounts([place('/srv', 'readWrite'), place('/dev/kvm', 'readWrite')], state)
  expect(mounts).toEqual([
    expect.objectContaining({ destination: '/srv', nosuid: true, nodev: true, readonly: false }),
    expect.objectContaining({ destination: '/dev/kvm', nosuid: true, nodev: false }),
  ])
})

test('the places of sockets that give power over the host are masked, unless they are named', () => {
  // /run/user exists wherever somebody logs in, /tmp/.X11-unix where there is a screen
  const visible = planMounts([place('/run', 'readOnly'), place('/run/user', 'readOnly')], state)
  expect(visible.maskedPaths).not.toContain('/run/user')
  const { maskedPaths } = planMounts([place('/', 'readOnly')], state)
  for (const path of maskedPaths) expect(path).toMatch(/^\/(run|tmp|var)\//)
})

test('protecting what is not writable needs nothing', () => {
  const { mounts, readonlyPaths } = planMounts(
    [place('/srv', 'readOnly'), place('/srv/x', 'protect'), place('/elsewhere', 'protect')],
    state,
  )
  expect(mounts).toHaveLength(1)
  expect(readonlyPaths).toEqual([])
})

test('in an overlay, what is protected is what is seen there', () => {
  const overlay: Place = { path: '/srv', pointer: '', access: 'overlay', directory: true }
  const plan = planMounts([overlay, place('/srv/x', 'protect')], state)
  expect(plan.mounts).toEqual([
    expect.objectContaining({ type: 'overlay', upperDir: '/state/upper/%2Fsrv' }),
  ])
  expect(plan.readonlyPaths).toEqual(['/srv/x'])
})
