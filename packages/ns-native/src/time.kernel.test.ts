import { readFileSync } from 'node:fs'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, test } from 'vitest'
import { containerSpec, runSpec } from './container.test.fixture.ts'
import type { LaunchSpec } from './launch-spec.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

/** What a container with these clocks prints. */
function withClocks(timeOffsets: LaunchSpec['timeOffsets'], script: string) {
  const spec = containerSpec(['/bin/sh', '-c', script])
  const namespaces = [...spec.namespaces, 'time' as const]
  return runSpec({ ...spec, namespaces, ...(timeOffsets === undefined ? {} : { timeOffsets }) })
}

const DAYS = 86400
const uptime = () => Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0])

test('clocks are ahead or behind by what was asked, for all that runs inside', async () => {
  const script = 'cat /proc/uptime /proc/self/timens_offsets; sh -c "cat /proc/uptime"'
  const offsets = { monotonic: { secs: -1, nanosecs: 5 }, boottime: { secs: 10 * DAYS } }
  const { stdout } = await withClocks(offsets, script)
  const [own = '', monotonic, boottime, child = ''] = stdout.split('\n')
  for (const line of [own, child]) {
    const ahead = Number(line.split(' ')[0]) - uptime()
    expect(ahead).toBeGreaterThan(10 * DAYS - 60)
    expect(ahead).toBeLessThan(10 * DAYS + 60)
  }
  expect(monotonic).toMatch(/^monotonic\s+-1\s+5$/)
  expect(boottime).toMatch(/^boottime\s+864000\s+0$/)
})

test('without offsets there is a time namespace that shows the host’s clocks', async () => {
  const script = 'readlink /proc/self/ns/time /proc/1/ns/time; cat /proc/uptime'
  const spec = containerSpec(['/bin/sh', '-c', script])
  const host = await runSpec(spec)
  const own = await withClocks(undefined, script)
  expect(own.stdout.split('\n')[0]).not.toBe(host.stdout.split('\n')[0])
  expect(Math.abs(Number(own.stdout.split('\n')[1]?.split(' ')[0]) - uptime())).toBeLessThan(60)
})

test('a clock that would be before the start of the host is an error', async () => {
  const offsets = { boottime: { secs: -1000 * 365 * DAYS } }
  await expect(withClocks(offsets, 'true')).rejects.toMatchObject({
    code: 'ERR_NS_SETUP',
    step: 'time',
    errno: 34,
    hint: expect.stringContaining('negative'),
  })
})
