import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hostIdOf, type IdMappingFacts, selectIdMapping } from './id-mapping.ts'

const WHOLE_WORLD = '         0          0 4294967295\n'
const HELPERS = { newuidmap: '/usr/bin/newuidmap', newgidmap: '/usr/bin/newgidmap' }
const ALICE: IdMappingFacts = {
  uid: 1000,
  gid: 1001,
  userName: 'alice',
  subuid: 'alice:100000:65536\n',
  subgid: 'alice:100000:65536\n',
  ownMap: WHOLE_WORLD,
  ...HELPERS,
}
const ROOT: IdMappingFacts = { ...ALICE, uid: 0, gid: 0, userName: 'root', subuid: '', subgid: '' }

test('a user with ranges is id 0 inside, and the ranges follow', () => {
  expect(selectIdMapping(ALICE)).toEqual({
    kind: 'subid',
    uidMappings: [
      { containerID: 0, hostID: 1000, size: 1 },
      { containerID: 1, hostID: 100000, size: 65536 },
    ],
    gidMappings: [
      { containerID: 0, hostID: 1001, size: 1 },
      { containerID: 1, hostID: 100000, size: 65536 },
    ],
    key: 'subid-100000-65536',
    ...HELPERS,
  })
})

test('several ranges follow each other in the order of the file', () => {
  const subuid = 'alice:300000:1000\nbob:1:1\n1000:200000:500\n'
  const plan = selectIdMapping({ ...ALICE, subuid, subgid: 'alice:400000:10' })
  expect(plan.uidMappings.slice(1)).toEqual([
    { containerID: 1, hostID: 300000, size: 1000 },
    { containerID: 1001, hostID: 200000, size: 500 },
  ])
  expect(plan.gidMappings.slice(1)).toEqual([{ containerID: 1, hostID: 400000, size: 10 }])
  expect(plan.key).toBe('subid-300000-1000-200000-500-g-400000-10')
})

test('an entry by number counts like one by name, and the same range twice counts once', () => {
  const subuid = 'alice:100000:65536\n1000:100000:65536\n'
  expect(selectIdMapping({ ...ALICE, subuid, subgid: '1000:100000:65536' })).toEqual(
    selectIdMapping(ALICE),
  )
})

test('comments, blank lines and garbage are passed over', () => {
  const subuid = [
    '# alice:1:1',
    '',
    'alice',
    'alice:x:5',
    'alice:5:',
    'alice:70000:0',
    'alice:4294967290:100',
    'alice:-1:5',
    'malice:9:9',
    'alice:100000:65536\r',
    'alice:100000:65536:7',
  ].join('\n')
  expect(selectIdMapping({ ...ALICE, subuid })).toEqual(selectIdMapping(ALICE))
})

test('a user without ranges is the only id, and the note offers a range that is free', () => {
  const subuid = 'bob:100000:65536\ncarol:165536:65536\n'
  expect(selectIdMapping({ ...ALICE, subuid, subgid: subuid })).toEqual({
    kind: 'single',
    uidMappings: [{ containerID: 0, hostID: 1000, size: 1 }],
    gidMappings: [{ containerID: 0, hostID: 1001, size: 1 }],
    key: 'single',
    note:
      'alice has no range of ids in /etc/subuid and /etc/subgid; ' +
      'as root: usermod --add-subuids 231072-296607 --add-subgids 231072-296607 alice',
  })
})

test('a range for users alone does not do, and the note asks for what is missing only', () => {
  const plan = selectIdMapping({ ...ALICE, subgid: '' })
  expect(plan.kind).toBe('single')
  expect(plan.note).toContain('in /etc/subgid; as root: usermod --add-subgids 165536-231071 alice')
  expect(plan.note).not.toContain('--add-subuids')
})

test('ranges without the setuid helpers are of no use, and the note says so', () => {
  const plan = selectIdMapping({ ...ALICE, newgidmap: undefined })
  expect(plan.kind).toBe('single')
  expect(plan.note).toContain('no newgidmap to map them; as root: apt-get install uidmap')
  expect(plan).not.toHaveProperty('newuidmap')
})

test('ranges that the surrounding user namespace does not have are of no use', () => {
  const plan = selectIdMapping({ ...ALICE, ownMap: '0 100000 65536\n' })
  expect(plan.kind).toBe('single')
  expect(plan.note).toContain('do not exist in the user namespace')
})

test('a range over the caller’s own id is refused with a hint', () => {
  expect(() => selectIdMapping({ ...ALICE, subuid: 'alice:500:1000' })).toThrow(
    expect.objectContaining({
      code: 'ERR_NS_UNSUPPORTED',
      path: '/etc/subuid',
      message: expect.stringContaining('500:1000 in /etc/subuid overlaps the caller’s own id'),
      hint: expect.stringContaining('/etc/subuid'),
    }),
  )
})

test('ranges over each other are refused with a hint', () => {
  expect(() => selectIdMapping({ ...ALICE, subgid: 'alice:1:10\nalice:10:1' })).toThrow(
    '10:1 in /etc/subgid overlaps 1:10 of the same user',
  )
})

test('root keeps all its ids', () => {
  const everyId = [{ containerID: 0, hostID: 0, size: 4294967295 }]
  expect(selectIdMapping(ROOT)).toEqual({
    kind: 'identity',
    uidMappings: everyId,
    gidMappings: everyId,
    key: 'identity',
  })
})

test('root of a user namespace keeps the ids that exist in there', () => {
  const ownMap = '         0       1000          1\n         1     100000      65536\n'
  const ids = [{ containerID: 0, hostID: 0, size: 65537 }]
  const expected = { kind: 'identity', uidMappings: ids, gidMappings: ids, key: 'identity-0-65537' }
  expect(selectIdMapping({ ...ROOT, ownMap })).toEqual(expected)
})

test('groups of the surrounding namespace may differ from its users', () => {
  const plan = selectIdMapping({ ...ROOT, ownMap: '0 7 10\n20 50 10', ownGidMap: '0 0 100' })
  expect(plan.uidMappings).toEqual([
    { containerID: 0, hostID: 0, size: 10 },
    { containerID: 20, hostID: 20, size: 10 },
  ])
  expect(plan.key).toBe('identity-0-10-20-10-g-0-100')
})

test('root of a namespace with one id only is that one id', () => {
  const plan = selectIdMapping({ ...ROOT, ownMap: '0 1000 1' })
  expect(plan).toMatchObject({ kind: 'single', key: 'single' })
  expect(plan.uidMappings).toEqual([{ containerID: 0, hostID: 0, size: 1 }])
})

test('an id inside is looked up outside', () => {
  const { uidMappings } = selectIdMapping(ALICE)
  expect(hostIdOf(uidMappings, 0)).toBe(1000)
  expect(hostIdOf(uidMappings, 1)).toBe(100000)
  expect(hostIdOf(uidMappings, 65536)).toBe(165535)
  expect(hostIdOf(uidMappings, 65537)).toBeUndefined()
})

// Disjoint ranges above the caller's id, as an administrator would hand them out.
const disjointRanges = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 1, max: 70000 })), {
    minLength: 1,
    maxLength: 12,
  })
  .map((gapsAndSizes) => {
    let next = 2000
    return gapsAndSizes.map(([gap, size]) => {
      const range = { start: next + gap, size }
      next = range.start + size
      return range
    })
  })
  .chain((ranges) => fc.shuffledSubarray(ranges, { minLength: 1 }))
const textOf = (ranges: readonly { start: number; size: number }[]) =>
  ranges.map(({ start, size }) => `alice:${start}:${size}`).join('\n')

test('property: inside and outside, no id is mapped twice, and none of the ranges is left out', () => {
  fc.assert(
    fc.property(disjointRanges, disjointRanges, (users, groups) => {
      const plan = selectIdMapping({ ...ALICE, subuid: textOf(users), subgid: textOf(groups) })
      for (const [mappings, ranges, own] of [
        [plan.uidMappings, users, 1000],
        [plan.gidMappings, groups, 1001],
      ] as const) {
        const size = ranges.reduce((total, range) => total + range.size, 1)
        expect(mappings.reduce((total, mapping) => total + mapping.size, 0)).toBe(size)
        const byHost = [...mappings].sort((left, right) => left.hostID - right.hostID)
        byHost.reduce((end, { hostID, size }) => {
          expect(hostID).toBeGreaterThanOrEqual(end)
          return hostID + size
        }, 0)
        let next = 0
        for (const mapping of mappings) {
          expect(mapping.containerID).toBe(next)
          next += mapping.size
        }
        expect(hostIdOf(mappings, 0)).toBe(own)
        expect(hostIdOf(mappings, size)).toBeUndefined()
      }
    }),
  )
})

test('property: keys of one caller are equal exactly when the mappings are, and fit a directory', () => {
  fc.assert(
    fc.property(disjointRanges, disjointRanges, disjointRanges, (first, second, third) => {
      const [left, right] = [first, second].map((users) =>
        selectIdMapping({ ...ALICE, subuid: textOf(users), subgid: textOf(third) }),
      )
      expect(left?.key === right?.key).toBe(
        JSON.stringify(left?.uidMappings) === JSON.stringify(right?.uidMappings),
      )
      expect(left?.key).toMatch(/^[a-z0-9-]{1,64}$/)
    }),
  )
})

test('property: no text of /etc/subuid makes it fail in any other way than saying why', () => {
  const line = fc.oneof(
    fc.string(),
    fc.tuple(fc.nat(5000), fc.nat(5000)).map(([start, size]) => `alice:${start}:${size}`),
  )
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      try {
        const plan = selectIdMapping({ ...ALICE, subuid: lines.join('\n') })
        expect(plan.kind === 'single').toBe(plan.note !== undefined)
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_NS_UNSUPPORTED' })
      }
    }),
  )
})
