import { expect, it } from 'vitest'
import { nearest } from './nearest.ts'

const commands = ['images', 'logs', 'ps', 'pull', 'rm', 'run', 'stop']

it.each([
  ['rnu', 'run'],
  ['pul', 'pull'],
  ['pulll', 'pull'],
  ['imgaes', 'images'],
  ['lgs', 'logs'],
  ['p', 'ps'],
  ['zzz', undefined],
  ['kubernetes', undefined],
])('takes %s for %s', (word, meant) => {
  expect(nearest(word, commands)).toBe(meant)
})

it('prefers the closest', () => {
  expect(nearest('--evn', ['--env-file', '--env', '--exec'])).toBe('--env')
})
