import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { requires } from '@cromwell/test-support'
import { afterAll, expect, test } from 'vitest'
import { appArmor, FIXED_HELPER, fixedHelper } from './app-armor.ts'
import { appArmorRemedy } from './app-armor-remedy.ts'
import { appArmorFacility } from './host-check.ts'

const directory = mkdtempSync(join(tmpdir(), 'cromwell-apparmor-'))
afterAll(() => rmSync(directory, { recursive: true }))

let files = 0
function file(text: string): string {
  const path = join(directory, String(files++))
  writeFileSync(path, text)
  return path
}

const missing = join(directory, 'missing')
const nowhere = { restriction: missing, label: missing, abi: missing, enabled: missing }

test('what AppArmor does is read where it says so', () => {
  expect(appArmor(nowhere)).toEqual({ mediates: false, restricts: false })
  expect(
    appArmor({
      restriction: file('1\n'),
      label: file('unconfined\n'),
      abi: file(''),
      enabled: file('Y\n'),
    }),
  ).toEqual({ mediates: true, restricts: true })
  const confinedBy = (label: string) => appArmor({ ...nowhere, label: file(label) }).confinedBy
  expect(confinedBy('docker-default (enforce)\n')).toBe('docker-default')
  expect(confinedBy('/usr/bin/x (y)//&z (enforce)\n')).toBe('/usr/bin/x (y)//&z')
  expect(confinedBy('helper (unconfined)\n')).toBeUndefined()
  expect(confinedBy('trial (complain)\n')).toBeUndefined()
})

test('a helper that somebody else could change, or of another version, is not trusted', (context) => {
  const ours = file('ours')
  const place = join(directory, 'libexec')
  const path = join(place, 'init')
  mkdirSync(place, { mode: 0o755 })
  expect(fixedHelper(ours, path)).toBe('missing')
  writeFileSync(path, 'ours', { mode: 0o755 })
  if (process.geteuid?.() !== 0) expect(fixedHelper(ours, path)).toBe('other')
  requires(context, 'root', process.geteuid?.() === 0, 'the file has to be root’s')
  expect(fixedHelper(ours, path)).toBe('ready')
  for (const unsafe of [path, place]) {
    chmodSync(unsafe, 0o775)
    expect(fixedHelper(ours, path)).toBe('other')
    chmodSync(unsafe, 0o755)
  }
  writeFileSync(path, 'older')
  expect(fixedHelper(ours, path)).toBe('other')
  rmSync(path)
  symlinkSync(ours, path)
  expect(fixedHelper(ours, path)).toBe('other')
})

test('what to do depends on who is kept from what', () => {
  expect(appArmorRemedy({ mediates: true, restricts: false })).toBeUndefined()
  expect(appArmorRemedy({ mediates: true, restricts: false, confinedBy: 'p' })).toContain(
    `the rule ${FIXED_HELPER} Px`,
  )
  const restricted = appArmorRemedy({ mediates: true, restricts: true })
  if (process.geteuid?.() === 0) expect(restricted).toBeUndefined()
  else expect(restricted).toMatch(/cromwell setup|not loaded/)
})

test('a restriction that does not keep this process from anything is no failure', () => {
  const free = { mediates: true, restricts: false }
  expect(appArmorFacility(false, free)).toMatchObject({ ok: true })
  expect(appArmorFacility(true, { ...free, restricts: true })).toMatchObject({ ok: true })
  expect(appArmorFacility(false, { ...free, restricts: true })).toMatchObject({ ok: false })
  expect(appArmorFacility(false, { ...free, confinedBy: 'p' })).toMatchObject({
    ok: false,
    why: 'this process is confined by the profile p',
  })
})
