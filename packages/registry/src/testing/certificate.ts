import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { isIP } from 'node:net'

/** A certificate and its key, both in PEM. */
export interface Certificate {
  cert: string
  key: string
}

const LIFE_MS = 365 * 24 * 60 * 60 * 1000

/**
 * Make a self-signed certificate that is good for a year, for `localhost`, `127.0.0.1`, `::1` and
 * `hosts` (names or addresses). It is its own CA: whoever trusts it as one trusts the server.
 *
 * Source: RFC 5280, section 4.1; ECDSA on P-256 with SHA-256.
 */
export function makeCertificate(hosts: string[] = []): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const begins = Date.now() - LIFE_MS / 365
  const name = sequence(
    der(SET, sequence(oid('2.5.4.3'), der(UTF8_STRING, Buffer.from('localhost')))),
  )
  const body = sequence(
    der(explicit(0), der(INTEGER, Buffer.from([2]))),
    der(INTEGER, Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    sequence(ECDSA_WITH_SHA256),
    name,
    sequence(time(begins), time(begins + LIFE_MS)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(explicit(3), sequence(isCa(), names(['localhost', '127.0.0.1', '::1', ...hosts]))),
  )
  const signature = sign('sha256', body, privateKey)
  const certificate = sequence(
    body,
    sequence(ECDSA_WITH_SHA256),
    der(BIT_STRING, NO_UNUSED_BITS, signature),
  )
  const lines = certificate.toString('base64').replace(/.{64}(?=.)/g, '$&\n')
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

const BOOLEAN = 0x01
const INTEGER = 0x02
const BIT_STRING = 0x03
const OCTET_STRING = 0x04
const OBJECT_IDENTIFIER = 0x06
const UTF8_STRING = 0x0c
const UTC_TIME = 0x17
const SEQUENCE = 0x30
const SET = 0x31
const DNS_NAME = 0x82
const IP_ADDRESS = 0x87
const NO_UNUSED_BITS = Buffer.from([0])
const TRUE = der(BOOLEAN, Buffer.from([0xff]))
const ECDSA_WITH_SHA256 = oid('1.2.840.10045.4.3.2')

function isCa(): Buffer {
  return sequence(oid('2.5.29.19'), TRUE, der(OCTET_STRING, sequence(TRUE)))
}

function names(hosts: string[]): Buffer {
  const entries = hosts.map((host) =>
    isIP(host) === 0
      ? der(DNS_NAME, Buffer.from(host))
      : der(IP_ADDRESS, isIP(host) === 4 ? ipv4(host) : ipv6(host)),
  )
  return sequence(oid('2.5.29.17'), der(OCTET_STRING, sequence(...entries)))
}

function ipv4(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number))
}

function ipv6(address: string): Buffer {
  const [head = '', tail] = address.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':'))
  const left = groups(head)
  const right = groups(tail ?? '')
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0')
  const all = [...left, ...zeros, ...right].map((group) => group.padStart(4, '0'))
  return Buffer.from(all.join(''), 'hex')
}

/** One value in DER: tag, length, contents (ITU-T X.690). */
function der(tag: number, ...contents: Uint8Array[]): Buffer {
  const content = Buffer.concat(contents)
  const { length } = content
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

function sequence(...items: Uint8Array[]): Buffer {
  return der(SEQUENCE, ...items)
}

function explicit(number: number): number {
  return 0xa0 | number
}

function time(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '')
  return der(UTC_TIME, Buffer.from(text.slice(2)))
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number)
  return der(OBJECT_IDENTIFIER, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

function base128(value: number): number[] {
  const digits = [value & 0x7f]
  for (let left = value >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80)
  return digits
}
