import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chooseProxy, proxyFor, proxyFromEnvironment } from './proxy.ts'

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
    ['https://example/', 'example', true],
    ['https://example/', '.example', false],
    ['https://a.host.example/', 'host.example', true],
    ['https://host.example./', 'host.example', true],
    ['https://b\u00fccher.example/', 'b\u00fccher.example', true],
    ['https://10.1.2.3/', '10.0.0.0/8', true],
    ['https://11.1.2.3/', '10.0.0.0/8', false],
    ['https://10.1.2.3/', '10.1.2.3:443', true],
    ['https://10.1.2.3/', '10.1.2.3:80', false],
    ['https://0xa.1.2.3/', '10.1.2.3', true],
    ['https://10.1.2.3/', '0.0.0.0/0', true],
    ['https://host.example/', '0.0.0.0/0', false],
    ['https://10.1.2.3/', '10.0.0.0/99', false],
    ['https://10.1.2.3/', 'fd00::/8', false],
    ['https://[fd00::1]/', 'fd00::/8', true],
    ['https://[fe00::1]/', 'fd00::/8', false],
    ['https://[fd00::1]/', '[fd00::1]', true],
    ['https://[fd00::1]/', '[fd00::1]:443', true],
    ['https://[fd00::1]/', '[fd00::1]:80', false],
    ['https://[fd00::1]/', 'fd00:0:0::0:1', true],
    ['https://1.2.3.4.example/', '1.2.3.4', false],
    ['https://host.example/', 'x/y/z, /, ., *., :443', false],
  ])('for %s with the exceptions %j goes directly: %s', (url, no, direct) => {
    expect(proxyFor(new URL(url), { ...settings, no }) === undefined).toBe(direct)
  })
})

describe('chooseProxy', () => {
  const all = { http: 'http://h:1', https: 'http://s:2', all: 'http://a:3' }

  it.each([
    ['https://host.example/', all, 'http://s:2', 'HTTPS_PROXY'],
    ['http://host.example/', all, 'http://h:1', 'HTTP_PROXY'],
    ['http://host.example/', { all: all.all }, 'http://a:3', 'ALL_PROXY'],
    ['https://host.example/', {}, undefined, 'no proxy is set'],
    ['http://127.0.0.1/', all, undefined, 'it is this machine'],
    ['http://a.example/', { ...all, no: 'b, .example' }, undefined, 'NO_PROXY has ".example"'],
  ])('for %s says what decided', (url, settings, proxy, because) => {
    expect(chooseProxy(new URL(url), settings)).toEqual(
      proxy === undefined ? { because } : { proxy, because },
    )
  })

  it.each([
    ['socks5://user:secret@host:1', 'socks5: is no proxy'],
    ['http://user:secret@', 'it is not a URL'],
    ['http://[', 'it is not a URL'],
  ])('refuses %s without quoting it', (https, why) => {
    let failure: unknown
    try {
      chooseProxy(new URL('https://host.example/'), { https })
    } catch (error) {
      failure = error
    }
    expect(failure).toMatchObject({
      code: 'ERR_REGISTRY_PROXY',
      message: expect.stringContaining(why),
    })
    expect(JSON.stringify(failure)).not.toContain('secret')
  })

  it('takes any NO_PROXY without failing', () => {
    const unit = fc.constantFrom('*', '.', ',', ' ', ':', '/', '[', ']', '1', 'a', '0', '%')
    const url = new URL('https://host.example/')
    fc.assert(fc.property(fc.string({ unit }), (no) => void chooseProxy(url, { ...all, no })))
  })
})

describe('proxyFromEnvironment', () => {
  it.each([
    [{ HTTPS_PROXY: 'a', https_proxy: 'b' }, { https: 'b' }],
    [{ HTTPS_PROXY: 'a', https_proxy: '' }, { https: 'a' }],
    [
      { HTTP_PROXY: 'a', NO_PROXY: 'b', ALL_PROXY: 'c' },
      { http: 'a', no: 'b', all: 'c' },
    ],
    [{ HTTP_PROXY: 'a', REQUEST_METHOD: 'GET', HTTPS_PROXY: 'b' }, { https: 'b' }],
    [{ http_proxy: 'a', REQUEST_METHOD: 'GET' }, { http: 'a' }],
    [{ Https_Proxy: 'a' }, {}],
  ])('reads %j', (env, settings) => {
    expect(proxyFromEnvironment(env)).toEqual(settings)
  })
})
