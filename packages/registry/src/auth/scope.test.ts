import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { coversScopes, parseScopes, repositoryScope, unionScopes } from './scope.ts'

describe('unionScopes', () => {
  it.each([
    [['repository:a:pull'], ['repository:a:push'], ['repository:a:pull,push']],
    [['repository:a:push,pull'], ['repository:a:pull'], ['repository:a:pull,push']],
    [
      ['repository:a:pull,push'],
      ['repository:b:pull'],
      ['repository:a:pull,push', 'repository:b:pull'],
    ],
    [['registry:catalog:*'], [], ['registry:catalog:*']],
    [
      ['repository:host:5000/a:pull'],
      ['repository:host:5000/a:push'],
      ['repository:host:5000/a:pull,push'],
    ],
    [
      ['repository(plugin):a:pull'],
      ['repository:a:pull'],
      ['repository(plugin):a:pull', 'repository:a:pull'],
    ],
    [['aws'], ['aws', 'x:y'], ['aws', 'x:y']],
  ])('of %j and %j is %j', (one, other, both) => {
    expect(unionScopes(one, other)).toEqual(both)
  })

  it('covers both parts, in whatever order', () => {
    fc.assert(
      fc.property(scopes(), scopes(), (one, other) => {
        const both = unionScopes(one, other)
        expect(coversScopes(both, one) && coversScopes(both, other)).toBe(true)
        expect(unionScopes(both)).toEqual(both)
        expect(new Set(unionScopes(other, one))).toEqual(new Set(both))
        expect(parseScopes(both.join(' '))).toEqual(both)
      }),
    )
  })
})

describe('coversScopes', () => {
  it.each([
    [['repository:a:pull,push'], ['repository:a:pull'], true],
    [['repository:a:pull'], ['repository:a:pull,push'], false],
    [['repository:a:*'], ['repository:a:delete'], true],
    [['repository:a:pull'], ['repository:b:pull'], false],
    [['repository:a:pull'], [], true],
    [[], ['repository:a:pull'], false],
    [['aws'], ['aws'], true],
    [['aws'], ['other'], false],
  ])('%j, %j: %j', (have, want, covers) => {
    expect(coversScopes(have, want)).toBe(covers)
  })
})

it('repositoryScope writes what token services read', () => {
  expect(repositoryScope('team/app', 'pull', 'push')).toBe('repository:team/app:pull,push')
})

function scopes(): fc.Arbitrary<string[]> {
  const actions = fc.uniqueArray(fc.constantFrom('pull', 'push', 'delete', '*'), { minLength: 1 })
  const resource = fc.constantFrom('repository:a', 'repository:host:5000/b', 'registry:catalog')
  return fc.array(
    fc.oneof(
      fc.tuple(resource, actions).map(([name, list]) => `${name}:${list.join(',')}`),
      fc.constant('aws'),
    ),
    { maxLength: 5 },
  )
}
