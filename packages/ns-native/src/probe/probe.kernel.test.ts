import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { expect, onTestFinished, test } from 'vitest'
import { nodeProgram } from '../container.test.fixture.ts'
import type { HostReport } from './probe.ts'
import { probe } from './probe.ts'

const packageDirectory = fileURLToPath(new URL('../..', import.meta.url))

test('the host is tried out, quickly, and nothing is left behind', async (context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
  const directory = mkdtempSync(join(tmpdir(), 'cromwell-probe-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const report = await probe({ directory })
  expect(report).toMatchObject({ ok: true, platform: 'linux', kernel: release() })
  for (const name of [
    'linux',
    'helper',
    'user-namespaces',
    'proc',
    'overlay',
    'seccomp',
  ] as const) {
    expect(report.facilities[name]).toMatchObject({ name, ok: true })
  }
  // whatever does not work says why
  for (const facility of Object.values(report.facilities)) {
    if (!facility.ok) expect(facility.why).toEqual(expect.any(String))
  }
  expect(readdirSync(directory)).toEqual([])
})

test('it is tried once, unless asked for anew', async () => {
  const first = await probe()
  expect(await probe()).toBe(first)
  expect(await probe({ fresh: true })).not.toBe(first)
})

// Node fixes process.platform before it runs anything; what the package sees of it can be replaced.
const ELSEWHERE = `
Object.defineProperty(process, 'platform', { value: 'darwin' })
const { probe, sandbox, spawn, launch } = await import('@cromwell/ns-native')
const report = await probe()
const child = spawn('true')
child.stdout.resume()
const errors = [
  await new Promise((resolve) => child.once('error', resolve)),
  await child.result.catch((error) => error),
  await sandbox().catch((error) => error),
]
console.log(JSON.stringify({ report, errors }))
`

test('on another system the import works, probe says why not, and so do spawn and sandbox', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, nodeProgram(ELSEWHERE), {
    cwd: packageDirectory,
  })
  const { report, errors }: { report: HostReport; errors: object[] } = JSON.parse(stdout)
  expect(report).toMatchObject({
    ok: false,
    platform: 'darwin',
    facilities: { linux: { ok: false, why: expect.stringContaining('darwin') } },
  })
  for (const error of errors) {
    expect(error).toMatchObject({
      name: 'UnsupportedError',
      code: 'ERR_NS_UNSUPPORTED',
      missing: ['linux'],
    })
  }
})
