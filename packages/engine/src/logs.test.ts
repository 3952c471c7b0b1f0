import { expect, test } from 'vitest'
import { parseLogLine } from './logs.ts'

const time = '2026-01-02T03:04:05.123456789Z'

test('a whole line gets its newline back, a part does not', () => {
  expect(parse(`${time} stdout F hello`)).toEqual(['stdout', 'hello\n'])
  expect(parse(`${time} stderr P a part`)).toEqual(['stderr', 'a part'])
  expect(parse(`${time} stdout F `)).toEqual(['stdout', '\n'])
})

test('content is bytes, not text', () => {
  const line = Buffer.concat([Buffer.from(`${time} stdout F `), Buffer.from([0xff, 0x20, 0])])
  expect(parseLogLine(line)[0]?.content).toEqual(Buffer.from([0xff, 0x20, 0, 0x0a]))
})

test.each(['', 'garbage', `${time} stdout X no`, `${time} stdout`, `${time}  F x`])(
  'the line %j, cut off by a crash, is left out',
  (line) => {
    expect(parseLogLine(Buffer.from(line))).toEqual([])
  },
)

function parse(line: string): unknown[] {
  return parseLogLine(Buffer.from(line)).flatMap(({ stream, content }) => [stream, `${content}`])
}
