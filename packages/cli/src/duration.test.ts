import { describe, expect, it } from 'vitest'
import { formatDuration, formatRemaining } from './duration.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

describe('formatDuration', () => {
  it.each([
    [0, 'Less than a second'],
    [999, 'Less than a second'],
    [-5 * SECOND, 'Less than a second'],
    [SECOND, '1 second'],
    [1999, '1 second'],
    [2 * SECOND, '2 seconds'],
    [59.9 * SECOND, '59 seconds'],
    [MINUTE, 'About a minute'],
    [119 * SECOND, 'About a minute'],
    [2 * MINUTE, '2 minutes'],
    [59 * MINUTE + 59 * SECOND, '59 minutes'],
    [HOUR, 'About an hour'],
    [HOUR + 29 * MINUTE, 'About an hour'],
    [HOUR + 30 * MINUTE, '2 hours'],
    [47 * HOUR, '47 hours'],
    [48 * HOUR, '2 days'],
    [13 * DAY + 23 * HOUR, '13 days'],
    [14 * DAY, '2 weeks'],
    [59 * DAY, '8 weeks'],
    [60 * DAY, '2 months'],
    [729 * DAY, '24 months'],
    [730 * DAY, '2 years'],
    [3650 * DAY, '10 years'],
  ])('says %d ms as docker does: %s', (milliseconds, words) => {
    expect(formatDuration(milliseconds)).toBe(words)
  })
})

describe('formatRemaining', () => {
  it.each([
    [0, '1s'],
    [7400, '7s'],
    [59_400, '59s'],
    [59_600, '1m00s'],
    [192_000, '3m12s'],
    [2 * HOUR + 5 * MINUTE + 50 * SECOND, '2h05m'],
  ])('shortens %d ms to %s', (milliseconds, text) => {
    expect(formatRemaining(milliseconds)).toBe(text)
  })
})
