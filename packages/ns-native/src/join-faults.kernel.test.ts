import { canCreateUserNamespace, requires, requiresProgram } from '@cromwell/test-support'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { containerSpec, eventually, isAlive } from './container.test.fixture.ts'
import { NEVER_FAIL } from './fault-expectations.test.fixture.ts'
import { type CallSite, type FaultOutcome, Injector } from './fault-injection.test.fixture.ts'
import { join } from './join.ts'
import { launch } from './launch.ts'

// As fault-injection.kernel.test.ts does with a launch.

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
  requires(context, 'x64', process.arch === 'x64', 'the tracer knows x64 only')
})

const EIO = 5
const DIES = 0
const PARALLEL = 4
// All of them with CROMWELL_TEST_SWEEP=1.
const stride = process.env['CROMWELL_TEST_SWEEP'] === undefined ? 3 : 1

/** Calls that a joining survives: what they are for can be done without, or is done otherwise. */
const SURVIVED =
  'close munmap setsid chdir fcntl ioctl personality pidfd_open dup3 openat ppoll wait4 sendto sendmsg ' +
  'recvmsg recvfrom pidfd_send_signal getsockopt prctl readlinkat clone3 sched_getscheduler ' +
  'clock_gettime getpriority ioprio_get ioprio_set sched_setaffinity openat2 read keyctl fstatfs statx'

async function inject(
  errno: number,
  accept: (site: CallSite, outcome: FaultOutcome) => boolean,
  cc: string,
) {
  const container = await launch(containerSpec(['/bin/sleep', '1000']), {
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  const injector = new Injector(cc, (spec, options) =>
    join(container, { process: spec.process }, options),
  )
  onTestFinished(async () => {
    injector.close()
    container.kill('SIGKILL')
    await container.wait()
  })
  const spec = containerSpec(['/bin/true'])
  const all = await injector.record(spec)
  const sites = all.filter(({ call }, index) => !NEVER_FAIL.has(call) && index % stride === 0)
  const bad: string[] = []
  const lanes = Array.from({ length: PARALLEL }, async (_, lane) => {
    for (let index = lane; index < sites.length; index += PARALLEL) {
      const site = sites[index]
      if (site === undefined) continue
      const outcome = await injector.inject(spec, { ...site, errno })
      const ok = outcome.complaints.length === 0 && (!outcome.injected || accept(site, outcome))
      if (!ok) bad.push(JSON.stringify({ ...site, ...outcome }))
    }
  })
  await Promise.all(lanes)
  expect(sites.length).toBeGreaterThan(20)
  expect(bad).toEqual([])
  await eventually(() => isAlive(container.pid))
}

test('every system call of a joining fails once: an error, or it is done without', async (context) => {
  const cc = requiresProgram(context, 'cc')
  const survived = new Set(SURVIVED.split(' '))
  await inject(
    EIO,
    ({ call }, { launchError, waitError, status }) =>
      launchError !== undefined ||
      (status === 'exit 0' && survived.has(call)) ||
      (waitError !== undefined && call === 'sendmsg'), // how it ended, which then nobody tells
    cc,
  )
})

test('every process of a joining dies once at each of its calls: that is told, or makes no difference', async (context) => {
  const cc = requiresProgram(context, 'cc')
  await inject(
    DIES,
    (_, { launchError, waitError, status }) =>
      launchError !== undefined ||
      waitError !== undefined ||
      ['exit 0', 'SIGKILL'].includes(status ?? ''),
    cc,
  )
})
