import { networkInterfaces } from 'node:os'
import { expect, test } from 'vitest'
import { AddressSet, isPublicAddress, unmapped } from './address-set.ts'

test.each([
  '0.0.0.0',
  '10.0.0.1',
  '100.64.0.1',
  '127.0.0.1',
  '127.255.255.255',
  '169.254.169.254',
  '172.31.255.255',
  '192.168.1.1',
  '192.0.0.192',
  '168.63.129.16',
  '198.18.0.1',
  '224.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
  '0:0:0:0:0:ffff:a9fe:a9fe',
  '::127.0.0.1',
  '64:ff9b::7f00:1',
  '64:ff9b::169.254.169.254',
  '64:ff9b:1::1',
  '100::1',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fec0::1',
  'ff02::1',
  '2001::1',
  '2001:db8::1',
  '2002:7f00:1::',
  '3fff::1',
  '4000::1',
])('%s is not public', (address) => {
  expect(isPublicAddress(address)).toBe(false)
})

test.each([
  '1.1.1.1',
  '93.184.215.14',
  '172.32.0.1',
  '::ffff:1.1.1.1',
  '2606:4700::1111',
  '64:ff9b::101:101',
])('%s is public', (address) => {
  expect(isPublicAddress(address)).toBe(true)
})

test('an address of this machine is not public, whatever it is', () => {
  for (const { address } of Object.values(networkInterfaces()).flatMap((one) => one ?? [])) {
    expect(isPublicAddress(address)).toBe(false)
  }
})

test('a set has what is in its networks', () => {
  const set = new AddressSet(['10.1.0.0/16', '192.0.2.7', 'fd00::/8', '::1'])
  for (const address of ['10.1.255.255', '192.0.2.7', 'fdff::1', '::1', '::ffff:10.1.0.1']) {
    expect([address, set.has(address)]).toEqual([address, true])
  }
  for (const address of ['10.2.0.0', '192.0.2.8', 'fe00::1', '::2']) {
    expect([address, set.has(address)]).toEqual([address, false])
  }
})

test.each([
  '',
  'example.org',
  '10.0.0.0/33',
  '10.0.0.0/-1',
  '10.0.0.0/8/8',
  '10.0.0.0/',
  'fe80::1%lo',
  '::/129',
])('%j is no network', (text) => {
  expect(() => new AddressSet([text])).toThrow(TypeError)
})

test('a mapped address is the one it maps', () => {
  expect(unmapped('::ffff:c0a8:1')).toBe('192.168.0.1')
  expect(unmapped('2001:db8::1')).toBe('2001:db8::1')
})
