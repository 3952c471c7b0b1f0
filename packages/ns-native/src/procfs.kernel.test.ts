import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, test } from 'vitest'
import { findHelper } from './binding.ts'
import { containerSpec, nodeProgram, runSpec } from './container.test.fixture.ts'
import type { Mount } from './launch-spec.ts'
import { asJson, INNER_IDS, LAUNCH, oddHost } from './odd-host.test.fixture.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

/** What a launch says that is made where these mounts are. */
async function launchAmong(mounts: readonly Mount[]) {
  // by its own name: without a /proc there is no other
  const launchFile = LAUNCH.replace('stdio:', `helperPath: ${JSON.stringify(findHelper())}, stdio:`)
  const source = `try { ${launchFile}; console.log(await child.wait().then((end) => end.exitCode)) }
    catch (error) { console.log(error.step, error.errno) }`
  const inner = { ...containerSpec(['true']), idMapping: INNER_IDS }
  const program = [process.execPath, ...nodeProgram(source, asJson(inner))]
  const host = { ...oddHost(program, []), mounts }
  return (await runSpec(host)).stdout
}

const proc: Mount = { type: 'proc', destination: '/proc' }
const ENODEV = 19

test('CVE-2019-16884: a /proc that is none, or part of one, or another namespace’s is not written to', async () => {
  expect(await launchAmong([proc])).toBe('0\n')
  const fakes: Mount[][] = [
    [{ type: 'tmpfs', destination: '/proc' }],
    // the right file system, but not its top
    [proc, { type: 'bind', source: '/proc/self', destination: '/proc' }],
    // the numbers of this machine, not of the new pid namespace
    [],
  ]
  for (const mounts of fakes) expect(await launchAmong(mounts)).toBe(`procfs ${ENODEV}\n`)
})
