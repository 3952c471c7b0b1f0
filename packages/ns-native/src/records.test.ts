import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LANDLOCK_FS_RIGHTS, LANDLOCK_NET_RIGHTS, LANDLOCK_SCOPES } from './landlock-rights.ts'
import {
  decodeEvent,
  encodeMessage,
  MAGIC,
  MessageReader,
  RECORD,
  type WireRecord,
} from './records.ts'
import { STEPS } from './steps.ts'

const header = (name: string) =>
  readFileSync(new URL(`../native/init/${name}`, import.meta.url), 'utf8')

test('the helper’s list of steps is the same', () => {
  const names = [...header('steps.h').matchAll(/^\s*X\([A-Z_]+, "(.*)"\)/gm)].map(
    ([, name]) => name,
  )
  expect(names).toEqual([...STEPS])
})

test('the helper’s list of records is the same', () => {
  const entries = [...header('records.h').matchAll(/^#define CW_RECORD_([A-Z_]+) (\d+)/gm)]
  expect(Object.fromEntries(entries.map(([, name, number]) => [name, Number(number)]))).toEqual(
    RECORD,
  )
  expect(header('records.h')).toContain(`CW_MAGIC 0x${MAGIC.toString(16)}`)
})

test('the helper asks a kernel for the same Landlock rights, by ABI', () => {
  const rows = [...header('landlock.c').matchAll(/^ {4}\{(\w+), (\w+), (\w+)\},/gm)]
  const tables = [LANDLOCK_FS_RIGHTS, LANDLOCK_NET_RIGHTS, LANDLOCK_SCOPES]
  const upTo = (abi: number) =>
    tables.map((table) =>
      Object.values(table).reduce((sum, right) => sum | (right.abi <= abi ? 1 << right.bit : 0), 0),
    )
  expect(rows.map(([, ...bits]) => bits.map(Number))).toEqual(rows.map((_, abi) => upTo(abi)))
  expect(rows.length - 1).toBe(Math.max(...tables.flatMap(Object.values).map(({ abi }) => abi)))
})

const record = fc.record({
  type: fc.constantFrom(...Object.values(RECORD)),
  payload: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
})
const plain = (records: WireRecord[]) =>
  records.map(({ type, payload }) => ({ type, payload: payload.toString('hex') }))

test('property: messages are read as they were written, in whatever pieces they come', () => {
  const messages = fc.array(fc.array(record, { minLength: 1, maxLength: 5 }), { maxLength: 5 })
  fc.assert(
    fc.property(messages, fc.array(fc.nat(30)), (written, cuts) => {
      const bytes = Buffer.concat(written.map(encodeMessage))
      const reader = new MessageReader()
      const read: WireRecord[] = []
      let offset = 0
      for (const cut of [...cuts, bytes.length]) {
        read.push(...reader.push(bytes.subarray(offset, offset + cut)))
        offset += cut
      }
      expect(plain(read)).toEqual(plain(written.flat()))
    }),
  )
})

test('property: bytes that are no message are an error or an incomplete message, never a crash', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.boolean(), (bytes, framed) => {
      const body = Buffer.from(bytes.slice(0, bytes.length & ~3))
      const head = Buffer.alloc(8)
      head.writeUInt32LE(MAGIC, 0)
      head.writeUInt32LE(body.length, 4)
      const reader = new MessageReader()
      try {
        for (const one of reader.push(framed ? Buffer.concat([head, body]) : Buffer.from(bytes))) {
          decodeEvent(one)
        }
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_NS_HELPER' })
      }
    }),
  )
})

const started = encodeMessage([{ type: RECORD.STARTED, payload: Buffer.from([1, 2, 0, 0]) }])

test.each<[string, (bytes: Buffer) => void]>([
  ['bad magic', (bytes) => bytes.writeUInt8(0, 0)],
  ['bad message length', (bytes) => bytes.writeUInt32LE(0, 4)],
  ['bad message length', (bytes) => bytes.writeUInt32LE(0xfffffffc, 4)],
  ['unknown record type 95', (bytes) => bytes.writeUInt16LE(95, 8)],
  ['unknown record flags', (bytes) => bytes.writeUInt16LE(3, 10)],
  ['record longer than its message', (bytes) => bytes.writeUInt32LE(5, 12)],
  ['record longer than its message', (bytes) => bytes.writeUInt32LE(0xffffffff, 12)],
  ['padding is not zero', (bytes) => bytes.writeUInt32LE(1, 12)],
])('%s is refused', (what, spoil) => {
  const bytes = Buffer.from(started)
  spoil(bytes)
  expect(() => new MessageReader().push(bytes)).toThrow(what)
})

test('an unknown record that need not be understood is skipped', () => {
  const bytes = Buffer.from(started)
  bytes.writeUInt16LE(95, 8)
  bytes.writeUInt16LE(0, 10)
  expect(new MessageReader().push(bytes)).toEqual([])
})

test('events are interpreted', () => {
  const [record] = new MessageReader().push(started)
  expect(record && decodeEvent(record)).toEqual({ type: 'started', pid: 513 })
  const numbers = Buffer.alloc(12)
  numbers.writeUInt32LE(4, 0)
  numbers.writeUInt32LE(0xffffffff, 4)
  numbers.writeUInt32LE(1, 8)
  const payload = Buffer.concat([numbers, Buffer.from('clone\0why\0')])
  expect(decodeEvent({ type: RECORD.FAULT, payload })).toEqual({
    type: 'fault',
    step: 4,
    index: undefined,
    errno: 1,
    call: 'clone',
    detail: 'why',
  })
  for (const size of [0, 13, payload.length - 1]) {
    expect(() => decodeEvent({ type: RECORD.FAULT, payload: payload.subarray(0, size) })).toThrow()
  }
})
