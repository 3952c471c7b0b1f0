import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatRecord, MAX_RECORD_BYTES, type PidRecord, parseRecord } from './record.ts'

const ALPHANUMERIC = [...'abcXYZ019']
const id = fc
  .tuple(
    fc.constantFrom(...ALPHANUMERIC),
    fc.string({ unit: fc.constantFrom(...ALPHANUMERIC, '_', '.', '-'), maxLength: 127 }),
  )
  .map(([first, rest]) => first + rest)

const anyRecord: fc.Arbitrary<PidRecord> = fc.record({
  id,
  pid: fc.integer({ min: 1, max: 4_194_304 }),
  startTime: fc.integer({ min: 0, max: 999_999_999_999_999 }),
  // Whole seconds and nanoseconds, as time_namespaces(7) has them, in ticks.
  timeOffset: fc
    .tuple(fc.integer({ min: -1e9, max: 1e9 }), fc.nat(999_999_999))
    .map(([seconds, nanoseconds]) => seconds * 100 + nanoseconds / 1e7),
  bootId: fc.uuid(),
  pidNamespace: fc.integer({ min: 1, max: 0xffff_ffff }),
  hostname: fc.string({ unit: 'binary', maxLength: 64 }),
  machineId: fc.oneof(
    fc.constant(''),
    fc.uuid().map((uuid) => uuid.replaceAll('-', '')),
  ),
})

const SAMPLE: PidRecord = {
  id: 'web',
  pid: 4242,
  startTime: 98765,
  timeOffset: 0,
  bootId: '11111111-1111-4111-8111-111111111111',
  pidNamespace: 4026531836,
  hostname: 'a\nb',
  machineId: 'ab12',
}

describe('the text of a record', () => {
  it('has the pid alone on its first line, then key=value lines', () => {
    const text = formatRecord(SAMPLE)
    expect(text.split('\n')).toEqual([
      '4242',
      'version=1',
      'id=web',
      'startTime=98765',
      'timeOffset=0',
      'bootId=11111111-1111-4111-8111-111111111111',
      'pidNamespace=4026531836',
      'machineId=ab12',
      'hostname=a%0Ab',
      '',
    ])
  })

  it('keeps an offset of many digits, as nanoseconds give one in floating point', () => {
    const timeOffset = -0.000028999999997836312
    const record = { ...SAMPLE, timeOffset }
    expect(parseRecord(formatRecord(record))).toEqual({ record })
  })

  it('property: reading what was written gives the same record', () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        const text = formatRecord(record)
        expect(text.length).toBeLessThanOrEqual(MAX_RECORD_BYTES)
        expect(text).toMatch(/^[\n -~]+$/)
        expect(parseRecord(text)).toEqual({ record })
      }),
    )
  })

  it('property: no beginning of a record, however long, is a record', () => {
    fc.assert(
      fc.property(anyRecord, fc.double({ min: 0, max: 1, noNaN: true }), (record, part) => {
        const text = formatRecord(record)
        const cut = text.slice(0, Math.min(text.length - 1, Math.floor(text.length * part)))
        expect(parseRecord(cut)).toHaveProperty('reason')
      }),
    )
  })

  it('property: arbitrary bytes never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        parseRecord(Buffer.from(bytes).toString('latin1'))
      }),
    )
  })

  it('property: a record with a few bytes changed never throws', () => {
    const damage = fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 5 })
    fc.assert(
      fc.property(anyRecord, damage, (record, changes) => {
        const bytes = Buffer.from(formatRecord(record), 'latin1')
        for (const [offset, value] of changes) bytes[offset % bytes.length] = value
        parseRecord(bytes.toString('latin1'))
      }),
    )
  })
})

describe('parseRecord', () => {
  const good = formatRecord({
    id: 'web',
    pid: 4242,
    startTime: 1,
    timeOffset: 0,
    bootId: 'boot',
    pidNamespace: 1,
    hostname: '',
    machineId: '',
  })

  it('does not believe a file with only a pid, and says which pid', () => {
    const reason = 'it holds a pid and nothing that tells whose'
    expect(parseRecord('4242')).toEqual({ reason, pid: 4242 })
    expect(parseRecord('4242\n')).toEqual({ reason, pid: 4242 })
  })

  it.each(['0', '-1', '1e3', ' 42', '042', '4194305', '99999999999999999999', ''])(
    'does not take %j for a pid',
    (first) => {
      expect(parseRecord(good.replace('4242', first))).not.toHaveProperty('record')
      expect(parseRecord(good.replace('4242', first))).not.toHaveProperty('pid')
    },
  )

  it('skips keys that a later version may add', () => {
    expect(parseRecord(good.replace('id=', 'colour=blue\nid='))).toHaveProperty('record')
  })

  it('does not believe another version, a key given twice or a line that is no pair', () => {
    expect(parseRecord(good.replace('version=1', 'version=2'))).toHaveProperty('reason')
    expect(parseRecord(good.replace('id=web', 'id=web\nid=web'))).toHaveProperty('reason')
    expect(parseRecord(good.replace('id=web', 'id=web\nnonsense'))).toHaveProperty('reason')
  })
})
