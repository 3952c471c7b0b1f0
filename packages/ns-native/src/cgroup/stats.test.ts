import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseAmount, parseCgroupStats, parseFlatKeyed, parseNestedKeyed } from './stats.ts'

test('the figures of a group', () => {
  const stats = parseCgroupStats({
    'memory.current': '4096\n',
    'memory.peak': '8192\n',
    'memory.events': 'low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\noom_group_kill 0\n',
    'pids.current': '2\n',
    'pids.peak': '7\n',
    'pids.events': 'max 5\n',
    'cpu.stat':
      'usage_usec 3000\nuser_usec 2000\nsystem_usec 1000\nnr_throttled 1\nthrottled_usec 500\n',
    'io.stat': '8:0 rbytes=100 wbytes=20 rios=3\n8:16 rbytes=1 wbytes=2\n254:0 \n',
    'cgroup.events': 'populated 1\nfrozen 0\n',
  })
  expect(stats).toEqual({
    memoryBytes: 4096,
    peakMemoryBytes: 8192,
    oomKills: 1,
    pids: 2,
    peakPids: 7,
    pidsDenied: 5,
    userMs: 2,
    systemMs: 1,
    throttledMs: 0.5,
    ioReadBytes: 101,
    ioWriteBytes: 22,
    populated: true,
    frozen: false,
  })
})

test('what the kernel does not tell is absent', () => {
  expect(parseCgroupStats({ 'cgroup.events': 'populated 0\n' })).toEqual({ populated: false })
})

test('amounts', () => {
  expect(['12\n', 'max\n', '', '1 2', undefined].map(parseAmount)).toEqual([
    12,
    Number.POSITIVE_INFINITY,
    undefined,
    undefined,
    undefined,
  ])
})

test('property: whatever a file has in it, it is read without a throw', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      parseFlatKeyed(text)
      parseNestedKeyed(text)
      parseCgroupStats({ 'memory.events': text, 'io.stat': text, 'memory.peak': text })
    }),
  )
})
