import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { canCreateUserNamespace, requires, requiresProgram } from '@cromwell/test-support'
import { expect, test } from 'vitest'
import { findHelper } from '../binding.ts'
import { containerSpec, runSpec, singleId, temporaryDirectory } from '../container.test.fixture.ts'
import type { LaunchSpec } from '../launch-spec.ts'
import { STEPS } from '../steps.ts'
import { plan } from './plan.ts'

/** All system calls of the monitor, init and the program, in order, with what they were given. */
async function observe(spec: LaunchSpec, strace: string): Promise<string[]> {
  const directory = temporaryDirectory()
  const helperPath = join(directory, 'helper')
  const trace = join(directory, 'trace')
  writeFileSync(helperPath, `#!/bin/sh\nexec ${strace} -qq -f -o ${trace} ${findHelper()}\n`)
  chmodSync(helperPath, 0o755)
  expect(await runSpec(spec, { helperPath })).toMatchObject({ exitCode: 0 })
  const lines = readFileSync(trace, 'utf8').split('\n')
  // the first is the tracer's own, of the helper
  const calls = lines.slice(1).map((line) => /^(\d+) +(\w+)\(/.exec(line))
  const monitor = calls[0]?.[1]
  // what the monitor gives up of its own is not about the program, and done meanwhile
  const own = ['seccomp', 'capset', 'prctl', 'landlock_create_ruleset', 'landlock_restrict_self']
  return calls.map((call) =>
    call?.[2] === undefined || (call[1] === monitor && own.includes(call[2])) ? '' : call[2],
  )
}

function sample(): LaunchSpec {
  return {
    ...containerSpec(['true'], {
      mounts: [
        { type: 'bind', source: '/usr', destination: '/mnt', readonly: true },
        { type: 'file', destination: '/file', content: 'x' },
        { type: 'symlink', destination: '/link', target: 'file' },
      ],
    }),
    idMapping: singleId,
    // only what exists everywhere: the others are skipped
    maskedPaths: ['/proc/keys', '/sys/firmware'],
    readonlyPaths: ['/proc/sys'],
    maxUserNamespaces: 0,
    domainname: 'example',
  }
}

test('the plan is what strace sees, call by call', async (context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
  const strace = requiresProgram(context, 'strace')
  const spec = sample()
  const observed = await observe(spec, strace)
  let at = 0
  for (const { step, index, calls } of plan(spec)) {
    for (const call of calls) {
      const found = observed.indexOf(call, at)
      expect(found, `${call} of ${step} ${index ?? ''} after call ${at}`).toBeGreaterThanOrEqual(0)
      at = found + 1
    }
  }
  // and nothing of importance happens that the plan has not: as many of each as there are
  const planned = plan(spec).flatMap(({ calls }) => calls)
  const count = (calls: readonly string[], call: string) =>
    calls.filter((one) => one === call).length
  for (const call of ['pivot_root', 'seccomp', 'capset', 'keyctl', 'symlinkat', 'setdomainname']) {
    const ofDev = call === 'symlinkat' ? 6 : 0 // the links of /dev
    expect(count(observed, call), call).toBe(count(planned, call) + ofDev)
  }
})

test('a plan names the steps in the order of STEPS, with the paths', () => {
  const steps = plan(sample())
  const positions = steps.map(({ step }) => STEPS.indexOf(step))
  expect(positions).toEqual([...positions].sort((one, other) => one - other))
  expect(steps.filter(({ step }) => step === 'mask')).toEqual([
    { step: 'mask', index: 0, calls: ['move_mount'], path: '/proc/keys' },
    { step: 'mask', index: 1, calls: ['move_mount'], path: '/sys/firmware' },
  ])
  expect(steps.at(-1)).toEqual({ step: 'exec', calls: ['execve'], path: 'true' })
})

test('what makes no sense has no plan', () => {
  expect(() => plan({ ...sample(), hostname: '' })).toThrow(
    expect.objectContaining({ name: 'PolicyError', pointer: '/hostname' }),
  )
})
