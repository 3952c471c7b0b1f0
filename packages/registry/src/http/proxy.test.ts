import { describe, expect, it } from 'vitest'
import { proxyFor } from './proxy.ts'

const settings = { http: 'http://plain:1', https: 'http://secure:2', no: '' }

describe('proxyFor', () => {
  it('chooses by scheme', () => {
    expect(proxyFor(new URL('https://host.example/'), settings)).toBe('http://secure:2')
    expect(proxyFor(new URL('http://host.example/'), settings)).toBe('http://plain:1')
    expect(proxyFor(new URL('https://host.example/'), { http: 'http://plain:1' })).toBeUndefined()
    expect(proxyFor(new URL('https://host.example/'), { https: '' })).toBeUndefined()
    expect(proxyFor(new URL('https://host.example/'), {})).toBeUndefined()
  })

  it('completes a proxy without scheme', () => {
    const url = new URL('https://host.example/')
    expect(proxyFor(url, { https: 'proxy.example:3128' })).toBe('http://proxy.example:3128')
  })

  it.each([
    'http://localhost:5000/',
    'http://127.0.0.1:5000/',
    'http://127.8.8.8/',
    'https://[::1]/',
  ])('reaches %s directly, whatever the settings', (url) => {
    expect(proxyFor(new URL(url), settings)).toBeUndefined()
  })

  it.each([
    ['https://host.example/', '*', true],
    ['https://host.example/', 'host.example', true],
    ['https://host.example/', 'HOST.example', true],
    ['https://host.example/', 'example', true],
    ['https://host.example/', '.example', true],
    ['https://host.example/', '*.example', true],
    ['https://host.example/', 'a.example, host.example', true],
    ['https://host.example/', 'a.example host.example', true],
    ['https://host.example/', 'host.example:443', true],
    ['https://host.example:8443/', 'host.example:443', false],
    ['http://host.example/', 'host.example:80', true],
    ['https://otherhost.example/', 'host.example', false],
    ['https://host.example.evil/', 'host.example', false],
    ['https://10.0.0.1/', '10.0.0.1', true],
    ['https://[fd00::1]/', 'fd00::1', true],
    ['https://host.example/', '', false],
  ])('for %s with the exceptions %j goes directly: %s', (url, no, direct) => {
    expect(proxyFor(new URL(url), { ...settings, no }) === undefined).toBe(direct)
  })
})
