import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { requires } from '@cromwell/test-support'
import { afterAll, expect, test } from 'vitest'
import { fixedHelper } from './app-armor.ts'
import { appArmorProfile, setupScript } from './setup-script.ts'

const directory = mkdtempSync(join(tmpdir(), 'cromwell setup-')) // a path that wants quotes
afterAll(() => rmSync(directory, { recursive: true }))

const places = {
  source: join(directory, 'init'),
  helper: join(directory, 'libexec/cromwell/init'),
  profile: join(directory, 'profile'),
}

/** Runs a script as root would, with a parser that only says what it was called with. */
function run(script: string) {
  const bin = join(directory, 'bin')
  mkdirSync(bin, { recursive: true })
  writeFileSync(join(bin, 'apparmor_parser'), '#!/bin/sh\necho "$@"\n')
  chmodSync(join(bin, 'apparmor_parser'), 0o755)
  const { status, stdout, stderr } = spawnSync('/bin/sh', ['-e'], {
    input: `umask 000; ${script}`,
    encoding: 'utf8',
    env: { PATH: `${bin}:/usr/bin:/bin` },
  })
  return { status, stdout, stderr }
}

test('the profile allows user namespaces to one file, and denies nothing', () => {
  expect(appArmorProfile()).toContain(
    'profile cromwell-init /usr/libexec/cromwell/init flags=(unconfined) {\n  userns,\n',
  )
})

test('what is installed is trusted afterwards, may be installed again, and goes away', (context) => {
  requires(context, 'root', process.geteuid?.() === 0, 'only root gives files to root')
  writeFileSync(places.source, 'helper')
  mkdirSync(join(directory, 'libexec'), { mode: 0o755 })
  for (const content of ['helper', 'a newer one']) {
    writeFileSync(places.source, content)
    const result = run(setupScript(places))
    expect(result).toEqual({ status: 0, stdout: `--replace ${places.profile}\n`, stderr: '' })
    expect(fixedHelper(places.source, places.helper)).toBe('ready')
  }
  expect(readdirSync(join(directory, 'libexec/cromwell'))).toEqual(['init'])
  expect(statSync(places.helper).mode & 0o7777).toBe(0o755)
  expect(statSync(places.profile).mode & 0o7777).toBe(0o644)
  expect(readFileSync(places.profile, 'utf8')).toBe(`${appArmorProfile(places.helper)}\n`)
  const uninstall = setupScript({ ...places, uninstall: true })
  expect(run(uninstall)).toEqual({ status: 0, stdout: `--remove ${places.profile}\n`, stderr: '' })
  expect(existsSync(places.profile)).toBe(false)
  expect(existsSync(join(directory, 'libexec/cromwell'))).toBe(false)
  expect(run(uninstall)).toEqual({ status: 0, stdout: '', stderr: '' })
})

test('a step that fails is the end of it', (context) => {
  requires(context, 'root', process.geteuid?.() === 0, 'only root gives files to root')
  const { status, stdout } = run(setupScript({ ...places, source: join(directory, 'none') }))
  expect(status).not.toBe(0)
  expect(stdout).toBe('')
})
