import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { isRegistryError, REGISTRY_ERROR_CODES, RegistryError } from './errors.ts'

describe('RegistryError', () => {
  it('carries what it is given and nothing that is undefined', () => {
    const cause = new Error('inner')
    const error = new RegistryError('ERR_REGISTRY_NOT_FOUND', 'not found', {
      host: 'host.example',
      status: 404,
      hint: undefined,
      cause,
    })
    expect(error).toMatchObject({
      name: 'RegistryError',
      code: 'ERR_REGISTRY_NOT_FOUND',
      status: 404,
    })
    expect(error.cause).toBe(cause)
    expect('hint' in error).toBe(false)
    expect('url' in error).toBe(false)
  })

  it('shows no secret, in whatever way it is printed', () => {
    const secret = 'c2VjcmV0LXNlY3JldA'
    const error = new RegistryError('ERR_REGISTRY_SERVER', `got Bearer ${secret}`, {
      url: `https://user:${secret}@host.example/x?token=${secret}`,
      errors: [{ code: 'X', message: `you sent Basic ${secret}` }],
      hint: `see https://host.example/?sig=${secret}`,
      cause: new Error(`at https://host.example/?sig=${secret}`),
    })
    const { cause: _, ...shown } = error
    for (const text of [String(error), JSON.stringify(error), inspect(shown), error.stack]) {
      expect(text).not.toContain(secret)
    }
    expect(error.url).toBe('https://host.example/x?token=***')
  })

  it('becomes JSON with its message and the message of its cause', () => {
    const error = new RegistryError('ERR_REGISTRY_TLS', 'no', { cause: new Error('inner') })
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      name: 'RegistryError',
      code: 'ERR_REGISTRY_TLS',
      message: 'no',
      cause: 'inner',
    })
  })

  it('is recognised with and without a code', () => {
    const error = new RegistryError('ERR_REGISTRY_TLS', 'no')
    expect(isRegistryError(error)).toBe(true)
    expect(isRegistryError(error, 'ERR_REGISTRY_TLS')).toBe(true)
    expect(isRegistryError(error, 'ERR_REGISTRY_LAYOUT')).toBe(false)
    expect(isRegistryError(new Error('no'))).toBe(false)
    expect(isRegistryError(undefined)).toBe(false)
  })

  it('has each code once', () => {
    expect(new Set(REGISTRY_ERROR_CODES).size).toBe(REGISTRY_ERROR_CODES.length)
  })
})
