import { Socket } from 'node:net'

// As much of the D-Bus protocol as it takes to call a method and to hear how it went:
// https://dbus.freedesktop.org/doc/dbus-specification.html, "Message Protocol".

/** A value with its type, as in D-Bus signatures. */
export type DbusValue =
  | { type: 's' | 'o' | 'g'; value: string }
  | { type: 'u'; value: number }
  | { type: 'b'; value: boolean }
  | { type: 'au'; value: readonly number[] }
  /** An array of (name, value) pairs: systemd's properties. */
  | { type: 'a(sv)'; value: readonly (readonly [string, DbusValue])[] }
  /** Always empty. */
  | { type: 'a(sa(sv))' }

/** A call of a method. */
export interface DbusCall {
  destination: string
  path: string
  interface: string
  member: string
  body?: readonly DbusValue[]
}

/** What came in: the answer to a call, an error, or a signal. Bodies have only their strings and numbers. */
export interface DbusMessage {
  type: 'return' | 'error' | 'signal'
  replyTo: number
  member: string
  errorName: string
  body: (string | number)[]
}

const LITTLE_ENDIAN = 0x6c
const METHOD_CALL = 1
const TYPES: Record<number, DbusMessage['type']> = { 2: 'return', 3: 'error', 4: 'signal' }
const FIELD = {
  path: 1,
  interface: 2,
  member: 3,
  errorName: 4,
  replySerial: 5,
  destination: 6,
  signature: 8,
}
const MESSAGE_MAX_BYTES = 1 << 20

/** A method call as bytes. */
export function encodeCall(call: DbusCall, serial: number): Buffer {
  const body = new Writer()
  for (const value of call.body ?? []) body.value(value)
  const signature = (call.body ?? []).map(({ type }) => type).join('')
  const head = new Writer()
  head.byte(LITTLE_ENDIAN, METHOD_CALL, 0, 1)
  head.u32(body.bytes.length)
  head.u32(serial)
  head.array(8, () => {
    head.field(FIELD.path, { type: 'o', value: call.path })
    head.field(FIELD.interface, { type: 's', value: call.interface })
    head.field(FIELD.member, { type: 's', value: call.member })
    head.field(FIELD.destination, { type: 's', value: call.destination })
    if (signature !== '') head.field(FIELD.signature, { type: 'g', value: signature })
  })
  head.align(8)
  return Buffer.from([...head.bytes, ...body.bytes])
}

class Writer {
  readonly bytes: number[] = []

  align(size: number): void {
    while (this.bytes.length % size !== 0) this.bytes.push(0)
  }

  byte(...values: number[]): void {
    this.bytes.push(...values)
  }

  u32(value: number): void {
    this.align(4)
    this.bytes.push(value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24)
  }

  array(alignment: number, fill: () => void): void {
    this.u32(0)
    const at = this.bytes.length
    this.align(alignment)
    const start = this.bytes.length
    fill()
    const size = Buffer.alloc(4)
    size.writeUInt32LE(this.bytes.length - start)
    this.bytes.splice(at - 4, 4, ...size)
  }

  field(code: number, value: DbusValue): void {
    this.align(8)
    this.byte(code)
    this.variant(value)
  }

  variant(value: DbusValue): void {
    this.value({ type: 'g', value: value.type })
    this.value(value)
  }

  value(item: DbusValue): void {
    switch (item.type) {
      case 's':
      case 'o': {
        const text = Buffer.from(item.value)
        this.u32(text.length)
        this.byte(...text, 0)
        return
      }
      case 'g':
        this.byte(item.value.length, ...Buffer.from(item.value), 0)
        return
      case 'u':
        this.u32(item.value)
        return
      case 'b':
        this.u32(item.value ? 1 : 0)
        return
      case 'au':
        this.array(4, () => {
          for (const number of item.value) this.u32(number)
        })
        return
      case 'a(sv)':
        this.array(8, () => {
          for (const [name, value] of item.value) {
            this.align(8)
            this.value({ type: 's', value: name })
            this.variant(value)
          }
        })
        return
      case 'a(sa(sv))':
        this.array(8, () => {})
    }
  }
}

/** The message at the start of `bytes`, and where the next one begins; undefined while it is incomplete. Throws on nonsense. */
export function decodeMessage(bytes: Buffer): { message: DbusMessage; end: number } | undefined {
  if (bytes.length < 16) return undefined
  if (bytes[0] !== LITTLE_ENDIAN) throw new Error('a message that is not little endian')
  const bodySize = bytes.readUInt32LE(4)
  const fieldsEnd = 16 + bytes.readUInt32LE(12)
  const bodyStart = Math.ceil(fieldsEnd / 8) * 8
  const end = bodyStart + bodySize
  if (end > MESSAGE_MAX_BYTES) throw new Error('a message of more than a megabyte')
  if (bytes.length < end) return undefined
  const message: DbusMessage = {
    type: TYPES[bytes[1] ?? 0] ?? 'signal',
    replyTo: 0,
    member: '',
    errorName: '',
    body: [],
  }
  const reader = new Reader(bytes.subarray(0, bodyStart), 16)
  let signature = ''
  while (reader.offset < fieldsEnd) {
    reader.align(8)
    const code = reader.byte()
    const [value = ''] = reader.values(reader.signature())
    if (code === FIELD.member) message.member = String(value)
    if (code === FIELD.errorName) message.errorName = String(value)
    if (code === FIELD.replySerial) message.replyTo = Number(value)
    if (code === FIELD.signature) signature = String(value)
  }
  message.body = new Reader(bytes.subarray(bodyStart, end), 0).values(signature)
  return { message, end }
}

class Reader {
  offset: number
  readonly #bytes: Buffer

  constructor(bytes: Buffer, offset: number) {
    this.#bytes = bytes
    this.offset = offset
  }

  align(size: number): void {
    this.offset = Math.ceil(this.offset / size) * size
  }

  byte(): number {
    return this.#bytes.readUInt8(this.offset++)
  }

  u32(): number {
    this.align(4)
    const value = this.#bytes.readUInt32LE(this.offset)
    this.offset += 4
    return value
  }

  text(size: number): string {
    const start = this.offset
    this.offset += size + 1
    return this.#bytes.toString('utf8', start, start + size)
  }

  signature(): string {
    return this.text(this.byte())
  }

  /** Up to the first type that nobody here has use for. */
  values(signature: string): (string | number)[] {
    const values: (string | number)[] = []
    for (const type of signature) {
      if (type === 's' || type === 'o') values.push(this.text(this.u32()))
      else if (type === 'u') values.push(this.u32())
      else if (type === 'g') values.push(this.signature())
      else break
    }
    return values
  }
}

const TIMEOUT_MS = 10_000

/**
 * Connect as this user to a bus, or to a program that speaks without one; `talk` gets to send calls
 * and hears every message until it gives a result. Rejects with what went wrong.
 */
export function converse<T>(
  path: string,
  calls: readonly DbusCall[],
  hear: (message: DbusMessage) => T | undefined,
): Promise<T> {
  const uid = String(process.getuid?.() ?? 0)
  const socket = new Socket()
  return new Promise<T>((resolve, reject) => {
    let pending: Buffer = Buffer.alloc(0)
    let authenticated = false
    const settle = (error: Error | undefined, result?: T) => {
      socket.destroy()
      if (error !== undefined) reject(error)
      else resolve(result as T) // there is one where there is no error
    }
    const take = (): void => {
      if (!authenticated) {
        const line = pending.indexOf('\r\n')
        if (line < 0) return
        const answer = pending.toString('latin1', 0, line)
        if (!answer.startsWith('OK ')) throw new Error(`authentication failed: ${answer}`)
        pending = pending.subarray(line + 2)
        authenticated = true
        socket.write(
          Buffer.concat([
            Buffer.from('BEGIN\r\n'),
            ...calls.map((call, index) => encodeCall(call, index + 1)),
          ]),
        )
      }
      for (;;) {
        const decoded = decodeMessage(pending)
        if (decoded === undefined) return
        pending = pending.subarray(decoded.end)
        const result = hear(decoded.message)
        if (result !== undefined) {
          settle(undefined, result)
          return
        }
      }
    }
    socket.setTimeout(TIMEOUT_MS, () => settle(new Error('no answer within ten seconds')))
    socket.on('error', (error) => settle(error))
    socket.on('close', () => settle(new Error('the connection was closed')))
    socket.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk])
      try {
        take()
      } catch (error) {
        settle(error instanceof Error ? error : new Error(String(error)))
      }
    })
    socket.connect(path)
    // EXTERNAL: who we are the kernel tells the other side; "\0" comes first for old ones.
    socket.write(`\0AUTH EXTERNAL ${Buffer.from(uid).toString('hex')}\r\n`)
  })
}
