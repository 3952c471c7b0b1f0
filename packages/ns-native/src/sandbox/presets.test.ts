import { expect, test } from 'vitest'
import { explain } from './explain.ts'
import type { Policy } from './policy.ts'
import { presets, withPreset } from './presets.ts'

test('presets are plain data', () => {
  expect(JSON.parse(JSON.stringify(presets))).toEqual(presets)
})

test('groups of a policy are laid over those of its preset, key by key', () => {
  const policy = withPreset({
    preset: 'agent',
    files: { readWrite: ['/srv'] },
    limits: { memory: '1G' },
    net: { mode: 'proxied', allow: ['example.org'] },
  })
  expect(policy).toEqual({
    ...presets.agent,
    files: { ...presets.agent.files, readWrite: ['/srv'] },
    limits: { memory: '1G' },
    net: { mode: 'proxied', allow: ['example.org'] },
  })
  expect(policy).not.toHaveProperty('preset')
})

test('a network of another mode takes nothing over from the preset’s', () => {
  const preset = { preset: 'agent', net: { mode: 'none' } } as const
  expect(withPreset(preset).net).toEqual({ mode: 'none' })
})

test('a policy is explained in sentences', () => {
  const policy: Policy = {
    files: { readOnly: ['/data'], hide: ['**/.env'] },
    net: { mode: 'proxied', allow: ['example.org'] },
    limits: { memory: '64M', wall: 500 },
    env: { pass: ['LANG'] },
  }
  expect(explain(policy).split('\n')).toEqual([
    'Sees the programs and libraries of this machine, and cannot change them.',
    'Reads /data.',
    'Has empty scratch space in /tmp.',
    'Does not see **/.env.',
    'Sees no other file.',
    'Reaches example.org by a proxy, and nothing else.',
    'Is the caller, under the name of root.',
    'Has no capability.',
    'Gains nothing by set-user-ID programs.',
    'Makes the system calls that containers usually may.',
    'Makes no user namespaces.',
    'Uses at most 64M of memory, 500 ms of time.',
    'Gets PATH, HOME, LANG in its environment, and no other variable, descriptor or process of the caller.',
  ])
})

test('what is weaker without namespaces is said', () => {
  const sentences = explain({ preset: 'landlock' })
  expect(sentences).toContain('other protocols, such as UDP, are open to it')
  expect(sentences).toContain('runs among the processes of the caller')
  expect(sentences).not.toContain('scratch')
})

test.each(Object.keys(presets))('the preset %s can be explained', (name) => {
  // the keys of presets are the names of presets
  expect(explain({ preset: name as keyof typeof presets })).toMatch(/^Sees /)
})

test('a policy that makes no sense is not explained', () => {
  expect(() => explain({ fils: {} } as Policy)).toThrow(
    expect.objectContaining({ pointer: '/fils' }),
  )
})
