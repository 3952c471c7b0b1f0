import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type EtcFilesOptions, writeEtcFiles } from './etc-files.ts'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cromwell-etc-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

test('without a network there is only localhost and no name server', () => {
  const files = write({ network: 'none' })
  expect(files['/etc/hosts']).toBe(
    '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.0.1\tbox\n',
  )
  expect(files['/etc/resolv.conf']).not.toMatch(/^nameserver/m)
  expect(files['/etc/hostname']).toBe('box\n')
})

test("on the host's network names resolve as on the host", () => {
  const files = write({ network: 'host' })
  expect(files['/etc/resolv.conf']).toBe(readFileSync('/etc/resolv.conf', 'utf8'))
  expect(files['/etc/hosts']).toContain(readFileSync('/etc/hosts', 'utf8').trimEnd())
  expect(files['/etc/hosts']).toMatch(/127\.0\.0\.1\tbox\n$/)
})

test('.containerenv can be sourced by a shell whatever the values are', () => {
  const files = write({ containerenv: { image: 'a"$(b)`\\' } })
  expect(files['/run/.containerenv']).toBe('image="a\\"\\$(b)\\`\\\\"\n')
})

test('every user inside may read the files, whatever the umask', () => {
  const umask = process.umask(0o077)
  try {
    write({})
  } finally {
    process.umask(umask)
  }
  expect(statSync(join(directory, 'etc', 'hosts')).mode & 0o777).toBe(0o644)
})

function write(options: Partial<EtcFilesOptions>): Record<string, string> {
  const written = writeEtcFiles(join(directory, 'etc'), {
    hostname: 'box',
    network: 'none',
    containerenv: {},
    ...options,
  })
  return Object.fromEntries(
    written.map(({ source, destination }) => [destination, readFileSync(source, 'utf8')]),
  )
}
