import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cgroupFacility } from './cgroup-facility.ts'

test('a host without cgroups, or with those of v1, cannot hand one to a plain user', () => {
  const directory = mkdtempSync(join(tmpdir(), 'cromwell-cgroup-'))
  try {
    expect(cgroupFacility(directory)).toEqual({
      name: 'cgroup',
      ok: false,
      detail: 'v1',
      why: 'only cgroup v2 can be handed to a plain user',
      fix: 'boot with systemd.unified_cgroup_hierarchy=1',
    })
    expect(cgroupFacility(`${directory}/missing`)).toMatchObject({ ok: false, detail: 'none' })
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('this host’s own cgroup is looked at without failing', () => {
  const { name, detail } = cgroupFacility()
  expect(name).toBe('cgroup')
  expect(detail).toMatch(/^(none|v1|hybrid|v2.*)$/)
})
