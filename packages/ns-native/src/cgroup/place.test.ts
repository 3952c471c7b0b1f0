import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { findPlaces, type PlaceFacts, placeIn } from './place.ts'

/** Directories with the files of groups, which is all that is looked at. */
function hierarchy(groups: Record<string, { has?: string; hands?: string; pids?: string }>) {
  const mountPoint = mkdtempSync(join(tmpdir(), 'cgroup-'))
  onTestFinished(() => rmSync(mountPoint, { recursive: true }))
  for (const [path, { has = '', hands = '', pids = '' }] of Object.entries(groups)) {
    const directory = join(mountPoint, path)
    mkdirSync(directory, { recursive: true })
    const files = { controllers: has, subtree_control: hands, procs: pids, events: 'populated 1\n' }
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(directory, `cgroup.${name}`), text)
    }
  }
  return mountPoint
}

function facts(mountPoint: string, own: string, more: Partial<PlaceFacts> = {}): PlaceFacts {
  return {
    layout: { v2: { mountPoint, own: join(mountPoint, own), nsdelegate: true }, v1: new Map() },
    manager: undefined,
    systemd: false,
    isDelegated: () => false,
    ...more,
  }
}

test('the own group, when it has no processes any more', () => {
  const root = hierarchy({ 'a/b': { has: 'cpu memory pids\n' } })
  const [place] = findPlaces(['memory'], facts(root, 'a/b'))
  expect(place).toMatchObject({ kind: 'cgroup2', parent: join(root, 'a/b'), enable: ['memory'] })
})

test('a group with processes hands nothing down, so it is one above that already does', () => {
  const root = hierarchy({
    a: { has: 'memory pids\n', hands: 'memory pids\n' },
    'a/b': { has: 'memory pids\n', pids: '12\n' },
  })
  const [place] = findPlaces(['memory', 'pids'], facts(root, 'a/b'))
  expect(place).toMatchObject({ parent: join(root, 'a'), enable: [] })
  expect(findPlaces(['cpu'], facts(root, 'a/b'))).toEqual([])
})

test('under systemd only what it has given away, and not what it gave to the user’s own systemd', () => {
  const root = hierarchy({
    'user@1000.service': { has: 'memory\n', hands: 'memory\n' },
    'user@1000.service/app.slice': { has: 'memory\n', hands: 'memory\n' },
    'user@1000.service/app.slice/my.scope': { has: 'memory\n', hands: 'memory\n' },
    'user@1000.service/app.slice/my.scope/supervisor': { has: 'memory\n', pids: '1\n' },
  })
  const own = 'user@1000.service/app.slice/my.scope/supervisor'
  const delegated = (...names: string[]) => ({
    systemd: true,
    isDelegated: (path: string) => names.some((name) => path.endsWith(name)),
  })
  const found = (...names: string[]) =>
    findPlaces(['memory'], facts(root, own, delegated(...names)))
  expect(found('my.scope')).toMatchObject([{ parent: join(root, own, '..') }])
  expect(found('user@1000.service')).toEqual([])
})

test('systemd is asked where nothing was given, and where it has more', () => {
  const root = hierarchy({
    'user@1000.service': { has: 'cpu memory pids\n' },
    mine: { has: 'pids\n' },
  })
  const manager = { sockets: [], group: 'user@1000.service' }
  const kinds = (needed: Parameters<typeof findPlaces>[0]) =>
    findPlaces(needed, facts(root, 'mine', { manager })).map(({ kind }) => kind)
  expect(kinds(['pids'])).toEqual(['cgroup2', 'systemd'])
  expect(kinds(['pids', 'memory'])).toEqual(['systemd', 'cgroup2'])
})

test('version 1, by the hierarchies that can be written to', () => {
  const root = hierarchy({ memory: {}, pids: {} })
  const v1 = new Map(
    ['memory', 'pids', 'cpu'].map((name) => [name, { mountPoint: root, own: join(root, name) }]),
  )
  const [place] = findPlaces(['memory'], { ...facts(root, ''), layout: { v1 } })
  expect(place?.kind).toBe('cgroup1')
  expect([...(place?.controllers ?? [])]).toEqual(['memory', 'pids'])
})

test('a parent that is named is used, or there is none', () => {
  const root = hierarchy({ a: { has: 'memory\n' } })
  expect(placeIn(join(root, 'a'), ['memory'], facts(root, 'a'))).toMatchObject({
    enable: ['memory'],
  })
  expect(placeIn(join(root, 'b'), ['memory'], facts(root, 'a'))).toBeUndefined()
})
