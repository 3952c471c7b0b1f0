import { expect, test } from 'vitest'
import { checkLimits } from './check-limits.ts'
import type { LaunchSpec } from './launch-spec.ts'

const wrong = (part: Partial<LaunchSpec>) => {
  try {
    // nothing else of a spec is looked at
    checkLimits(part as LaunchSpec)
  } catch (error) {
    return (error as { pointer: string }).pointer
  }
  return undefined
}

test.each<[string, Partial<LaunchSpec>]>([
  ['/limits/memoryBytes', { limits: { memoryBytes: 0 } }],
  ['/limits/memoryBytes', { limits: { memoryBytes: 1.5 } }],
  ['/limits/memorySwapBytes', { limits: { memorySwapBytes: 10 } }],
  ['/limits/memorySwapBytes', { limits: { memoryBytes: 10, memorySwapBytes: 9 } }],
  ['/limits/cpus', { limits: { cpus: 0 } }],
  ['/limits/cpus', { limits: { cpus: Number.NaN } }],
  ['/limits/pids', { limits: { pids: 0 } }],
  ['/limits/pids', { limits: { pids: 2 ** 22 } }],
  ['/limits/io/0/device', { limits: { io: [{ device: '/dev/sda' }] } }],
  [
    '/limits/io/1/readBytes',
    { limits: { io: [{ device: '8:0' }, { device: '8:0', readBytes: -1 }] } },
  ],
  ['/limits/wallMs', { limits: { wallMs: -1 } }],
  ['/limits/outputBytes', { limits: { outputBytes: Number.POSITIVE_INFINITY } }],
  ['/cgroup/parent', { cgroup: { parent: 'relative' } }],
  ['/cgroup/parent', { cgroup: { parent: '/a/../b' } }],
  ['/cgroup/name', { cgroup: { name: '../x' } }],
  ['/cgroup/name', { cgroup: { name: 'cgroup.procs' } }],
  ['/cgroup/name', { cgroup: { name: '' } }],
  // what a caller without types may write
  ['/allowDegraded/0', { allowDegraded: ['mem' as 'memory'] }],
])('%s is refused', (pointer, part) => {
  expect(wrong(part)).toBe(pointer)
})

test('sensible limits are not', () => {
  const limits = { memoryBytes: 1, memorySwapBytes: 1, cpus: 0.01, pids: 1, wallMs: 1, cpuMs: 1 }
  const io = [{ device: '259:0', writeOperations: 3 }]
  expect(wrong({ limits: { ...limits, io }, allowDegraded: ['io'], cgroup: {} })).toBeUndefined()
  expect(wrong({ cgroup: { parent: '/sys/fs/cgroup/a', name: 'my-1.x' } })).toBeUndefined()
})
