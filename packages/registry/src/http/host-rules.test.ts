import { describe, expect, it } from 'vitest'
import { apiHost, isLoopbackHost, unsafeHop } from './host-rules.ts'

describe('apiHost', () => {
  it("knows where Docker Hub's API lives", () => {
    expect(apiHost('docker.io')).toBe('registry-1.docker.io')
    expect(apiHost('localhost:5000')).toBe('localhost:5000')
  })
})

describe('isLoopbackHost', () => {
  it.each([
    'localhost',
    'localhost:5000',
    'a.localhost',
    '127.0.0.1',
    '127.1.2.3:80',
    '[::1]',
    '[::1]:5000',
  ])('recognises %s', (host) => {
    expect(isLoopbackHost(host)).toBe(true)
  })

  it.each([
    'localhost.example',
    'host.example',
    '128.0.0.1',
    '127.0.0.1.example',
    '[::2]',
    '10.0.0.1:127',
  ])('does not take %s for it', (host) => {
    expect(isLoopbackHost(host)).toBe(false)
  })
})

describe('unsafeHop', () => {
  it.each([
    ['https://host.example/', 'https://host.example/elsewhere'],
    ['https://host.example/', 'https://cdn.example/'],
    ['http://127.0.0.1:1/', 'http://127.0.0.1:2/'],
    ['http://localhost:1/', 'https://cdn.example/'],
    ['http://plain.example/', 'http://plain.example/token'],
    ['http://plain.example/', 'http://other-plain.example/'],
    ['http://169.254.1.1/', 'http://169.254.1.1/token'],
  ])('allows %s to lead to %s', (from, to) => {
    expect(hop(from, to)).toBeUndefined()
  })

  it.each([
    ['https://host.example/', 'http://host.example/', 'gives up TLS'],
    ['https://host.example/', 'http://plain.example/', 'gives up TLS'],
    ['https://127.0.0.1:1/', 'http://127.0.0.1:2/', 'gives up TLS'],
    ['http://plain.example/', 'http://cdn.example/', 'not https'],
    ['http://127.0.0.1/', 'http://cdn.example/', 'not https'],
    ['https://host.example/', 'https://127.0.0.1/', 'of this machine'],
    ['https://host.example/', 'https://localhost:8080/', 'of this machine'],
    ['https://host.example/', 'https://[::1]/', 'of this machine'],
    ['https://host.example/', 'https://2130706433/', 'of this machine'],
    ['https://host.example/', 'https://0x7f.1/', 'of this machine'],
    ['https://host.example/', 'https://169.254.169.254/latest/meta-data', 'link-local'],
    ['http://plain.example/', 'https://[fe80::1]/', 'link-local'],
    ['https://host.example/', 'file:///etc/passwd', 'not HTTP'],
    ['https://host.example/', 'ftp://host.example/', 'not HTTP'],
  ])('does not let %s lead to %s', (from, to, why) => {
    expect(hop(from, to)).toContain(why)
  })
})

function hop(from: string, to: string): string | undefined {
  const plainHttp = new Set(['plain.example', 'other-plain.example'])
  return unsafeHop(new URL(from), new URL(to), { plainHttp })
}
