import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { parseLayout } from './cgroup/layout.ts'
import type { PlaceFacts } from './cgroup/place.ts'
import { cgroupFacility } from './cgroup-facility.ts'

const nothing: PlaceFacts = {
  layout: { v1: new Map() },
  manager: undefined,
  systemd: true,
  isDelegated: () => false,
}

/** A version 2 hierarchy in which a user's systemd has these controllers. */
function withManager(controllers: string): PlaceFacts {
  const mountPoint = mkdtempSync(join(tmpdir(), 'cromwell-cgroup-'))
  onTestFinished(() => rmSync(mountPoint, { recursive: true }))
  mkdirSync(join(mountPoint, 'user'))
  writeFileSync(join(mountPoint, 'user/cgroup.controllers'), controllers)
  const mount = `1 2 0:3 / ${mountPoint} rw - cgroup2 cgroup2 rw,nsdelegate`
  return {
    ...nothing,
    layout: parseLayout(mount, '0::/session\n'),
    manager: { sockets: [], group: 'user' },
  }
}

test('a host without control groups, or without any for this user, says what holds instead', () => {
  expect(cgroupFacility({ ...nothing, systemd: false })).toEqual({
    name: 'cgroup',
    ok: false,
    detail: 'none',
    why: expect.stringContaining('watched by the monitor'),
  })
  const { manager: _, ...withoutManager } = withManager('')
  expect(cgroupFacility({ ...withoutManager, manager: undefined })).toMatchObject({
    ok: false,
    detail: 'v2',
    fix: expect.stringContaining('loginctl enable-linger'),
  })
})

test('a systemd of the user’s own holds limits, and what it was not given is named', () => {
  expect(cgroupFacility(withManager('cpu io memory pids'))).toEqual({
    name: 'cgroup',
    ok: true,
    detail: 'v2, memory cpu pids io, from systemd',
  })
  expect(cgroupFacility(withManager('cpu memory pids'))).toMatchObject({
    ok: true,
    detail: 'v2, memory cpu pids, from systemd',
    why: 'nothing here can limit io: no such controller is handed down to this user',
  })
})

test('this host’s own cgroup is looked at without failing', () => {
  const { name, detail } = cgroupFacility()
  expect(name).toBe('cgroup')
  expect(detail).toMatch(/^(none|v1|hybrid|v2)(, .*)?$/)
})
