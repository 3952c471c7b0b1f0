import { expect, test } from 'vitest'
import { GROUP, groupsAt, groupsInScope, ROLE, writesOfVersionTwo } from './groups.ts'
import type { Controller, Place } from './place.ts'

const all = new Set<Controller>(['memory', 'cpu', 'pids', 'io'])
const io = [{ device: '8:0', readBytes: 1000, writeOperations: 5 }]
const limits = { memoryBytes: 4096, cpus: 1.5, pids: 9, io }
const wish = { limits, controllers: all, name: 'cromwell-1-a', automatic: true }

test('version 2: what is written, and one process more for the helper’s own', () => {
  expect(writesOfVersionTwo(limits, all)).toEqual([
    ['memory.max', '4096'],
    ['?memory.swap.max', '0'],
    ['cpu.max', '150000 100000'],
    ['pids.max', '10'],
    ['io.max', '8:0 rbps=1000 wiops=5'],
  ])
})

test('swap that is asked for must be had; it is what goes beyond memory', () => {
  const swap = { memoryBytes: 4096, memorySwapBytes: 6000 }
  expect(writesOfVersionTwo(swap, all)).toContainEqual(['memory.swap.max', '1904'])
})

test('a limit whose controller is not there is not written', () => {
  expect(writesOfVersionTwo(limits, new Set<Controller>(['pids']))).toEqual([['pids.max', '10']])
})

const place: Extract<Place, { kind: 'cgroup2' }> = {
  kind: 'cgroup2',
  parent: '/g',
  controllers: all,
  enable: ['io'],
  nsdelegate: true,
}

test('version 2: controllers are handed down first, and the container is born into its group', () => {
  const [parent, group, ...more] = groupsAt(place, wish)
  expect(parent).toMatchObject({
    path: '/g',
    flags: 0,
    writes: [['cgroup.subtree_control', '+io']],
  })
  expect(group).toMatchObject({
    path: '/g/cromwell-1-a',
    flags: GROUP.make | GROUP.into | GROUP.sweep,
  })
  expect(more).toEqual([])
})

test('without nsdelegate the container is below the group with the limits', () => {
  const groups = groupsAt({ ...place, enable: [], nsdelegate: false }, wish)
  expect(groups.map(({ path, flags }) => [path, flags & GROUP.into])).toEqual([
    ['/g/cromwell-1-a', 0],
    ['/g/cromwell-1-a/box', GROUP.into],
  ])
  expect(groups[1]?.writes).toEqual([])
})

test('a name that was asked for is nobody’s to sweep up', () => {
  const groups = groupsAt({ ...place, enable: [] }, { ...wish, name: 'mine', automatic: false })
  expect(groups.map(({ path, flags }) => [path, flags & GROUP.sweep])).toEqual([['/g/mine', 0]])
})

test('in a scope of systemd the monitor goes aside before controllers are handed down', () => {
  const groups = groupsInScope('/s/x.scope', true, wish)
  expect(groups.map(({ path }) => path)).toEqual([
    '/s/x.scope/monitor',
    '/s/x.scope',
    '/s/x.scope/cromwell-1-a',
  ])
  expect(groups[0]).toMatchObject({
    flags: GROUP.make | GROUP.keep,
    writes: [['cgroup.procs', '0']],
  })
})

const PARENTS = new Map([
  ['memory', '/m'],
  ['cpu', '/c'],
  ['cpuacct', '/c'],
  ['pids', '/p'],
  ['blkio', '/b'],
  ['freezer', '/f'],
])

test('version 1: one group for each hierarchy, one more below it for the processes', () => {
  const groups = groupsAt({ kind: 'cgroup1', parents: PARENTS, controllers: all }, wish)
  const outer = groups.filter(({ flags }) => !(flags & GROUP.attach))
  expect(Object.fromEntries(outer.map(({ path, writes }) => [path, writes]))).toEqual({
    '/f/cromwell-1-a': [],
    '/m/cromwell-1-a': [
      ['memory.limit_in_bytes', '4096'],
      ['?memory.memsw.limit_in_bytes', '4096'],
    ],
    '/c/cromwell-1-a': [
      ['cpu.cfs_period_us', '100000'],
      ['cpu.cfs_quota_us', '150000'],
    ],
    '/p/cromwell-1-a': [['pids.max', '10']],
    '/b/cromwell-1-a': [
      ['blkio.throttle.read_bps_device', '8:0 1000'],
      ['blkio.throttle.write_iops_device', '8:0 5'],
    ],
  })
  const inner = groups.filter(({ flags }) => flags & GROUP.attach)
  expect(inner.map(({ path }) => path)).toEqual(outer.map(({ path }) => `${path}/box`))
})

test('version 1 beside a version 2 without controllers: that one freezes and kills', () => {
  const hybrid = { kind: 'cgroup1', parents: PARENTS, unified: '/u', controllers: all } as const
  const groups = groupsAt(hybrid, wish)
  const freezers = groups.filter(({ roles }) => roles & ROLE.freeze)
  expect(freezers.map(({ path }) => path)).toEqual(['/u/cromwell-1-a'])
})
