import { expect, test } from 'vitest'
import { planLimits, readResources } from './resources.ts'

const read = (value: object) => readResources({ value, pointer: '/linux/resources' })
const limitsOf = (value: object) => planLimits(read(value))

test('memory, processors, processes and transfer become limits', () => {
  const limits = limitsOf({
    memory: { limit: 1000, swap: 3000 },
    cpu: { quota: 150_000, period: 100_000 },
    pids: { limit: 7 },
    blockIO: {
      throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 500 }],
      throttleWriteIOPSDevice: [
        { major: 8, minor: 0, rate: 9 },
        { major: 8, minor: 16, rate: 3 },
      ],
    },
  })
  expect(limits).toEqual({
    memoryBytes: 1000,
    memorySwapBytes: 3000,
    cpus: 1.5,
    pids: 7,
    io: [
      { device: '8:0', readBytes: 500, writeOperations: 9 },
      { device: '8:16', writeOperations: 3 },
    ],
  })
})

test('what is empty, 0 or less is no limit', () => {
  expect(limitsOf({ memory: {}, cpu: { shares: 0, quota: -1 }, pids: { limit: 0 } })).toEqual({})
  expect(limitsOf({ memory: { limit: -1, swap: -1 }, blockIO: {}, unified: {} })).toEqual({})
  expect(limitsOf({ memory: { limit: 5, swap: -1 } }).memorySwapBytes).toBe(Number.MAX_SAFE_INTEGER)
})

test.each<[string, object]>([
  ['/memory/reservation', { memory: { limit: 1, reservation: 1 } }],
  ['/cpu/shares', { cpu: { shares: 512 } }],
  ['/cpu/cpus', { cpu: { cpus: '0-1' } }],
  ['/blockIO/weight', { blockIO: { weight: 10 } }],
  ['/hugepageLimits', { hugepageLimits: [{ pageSize: '2MB', limit: 1 }] }],
  ['/unified', { unified: { 'memory.high': '1' } }],
])('%s is refused because nothing would hold it', (pointer, value) => {
  const refused = { code: 'ERR_RUNTIME_UNSUPPORTED', pointer: `/linux/resources${pointer}` }
  expect(() => read(value)).toThrow(expect.objectContaining(refused))
})
