import { existsSync, mkdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, test } from 'vitest'
import { containerSpec, idMapping, temporaryDirectory } from './container.test.fixture.ts'
import { landlock } from './landlock.ts'
import { launch } from './launch.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

const silent = { stdio: ['ignore', 'ignore', 'ignore'] } as const

test('rule 25: the monitor has no capabilities, cannot get any, and makes few system calls', async () => {
  const child = await launch(containerSpec(['sleep', '1000']), silent)
  const status = readFileSync(`/proc/${child.monitorPid}/status`, 'utf8')
  child.kill('SIGKILL')
  await child.wait()
  for (const line of [
    ...['CapInh', 'CapPrm', 'CapEff', 'CapAmb'].map((set) => `${set}:\t0000000000000000`),
    'NoNewPrivs:\t1',
    'Seccomp:\t2',
    'Seccomp_filters:\t1',
  ]) {
    expect(status).toContain(`${line}\n`)
  }
})

test('rule 25: it writes where it was told to, and no more where a path leads elsewhere by now', async (context) => {
  requires(context, 'landlock', landlock.abi() >= 2, 'Landlock is what keeps it')
  for (const moved of [false, true]) {
    const directory = temporaryDirectory()
    const [state, elsewhere] = [join(directory, 'state'), join(directory, 'elsewhere')]
    mkdirSync(state)
    mkdirSync(join(elsewhere, 'garbage'), { recursive: true })
    mkdirSync(join(state, 'garbage'))
    const exitPath = join(state, 'exit')
    const monitor = { exitPath, removeOnExit: [join(state, 'garbage')] }
    const child = await launch(
      { ...containerSpec(['sleep', '1000'], { monitor }), idMapping },
      silent,
    )
    if (moved) {
      renameSync(state, join(directory, 'old'))
      symlinkSync(elsewhere, state)
    }
    child.kill('SIGKILL')
    await child.wait()
    expect(existsSync(exitPath)).toBe(!moved)
    expect(existsSync(join(elsewhere, 'garbage'))).toBe(true)
    expect(existsSync(join(state, 'garbage'))).toBe(moved)
  }
})
