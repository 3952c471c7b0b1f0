import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type AuthDirectory,
  failureOf,
  makeAuthDirectory,
  password,
} from './auth-files.test.fixture.ts'
import { eraseFromHelper, runCredentialHelper, storeInHelper } from './credential-helper.ts'

let directory: AuthDirectory

beforeEach(async () => {
  directory = await makeAuthDirectory()
})

afterEach(() => directory.remove())

function get(helper = 'test', options = {}) {
  return runCredentialHelper(helper, 'host.example', { env: directory.env, ...options })
}

describe('runCredentialHelper', () => {
  it('gives the server on stdin and reads the answer', async () => {
    const asked = join(directory.path, 'asked')
    await directory.helper('test', `cat > "${asked}"; echo '{"Username":"u","Secret":"s"}'`)
    expect(await get()).toEqual(password('u', 's'))
    expect(await readFile(asked, 'utf8')).toBe('host.example')
  })

  it('knows an identity token by its user', async () => {
    await directory.helper('test', `echo '{"Username":"<token>","Secret":"s"}'`)
    expect(await get()).toEqual({ type: 'identity-token', token: 's' })
  })

  it('finds nothing where the helper finds nothing', async () => {
    await directory.helper('test', 'echo credentials not found in native keychain; exit 1')
    expect(await get()).toBeUndefined()
    await directory.helper('test', `echo '{"Username":"","Secret":""}'`)
    expect(await get()).toBeUndefined()
  })

  it.each([
    ['a failure', 'echo s3cret; echo s3cret >&2; exit 3', 'it ended with status 3'],
    ['a death', 'kill -TERM $$', 'it ended with status SIGTERM'],
    ['nonsense', 'echo s3cret', 'its answer is not JSON'],
    ['half an answer', `echo '{"Username":"s3cret"}'`, 'no user name and secret'],
    ['another JSON', `echo '["s3cret"]'`, 'no user name and secret'],
    ['an endless answer', 'exec cat /dev/zero', 'its answer is too long'],
  ])('names the helper of %s without quoting it', async (_, script, why) => {
    await directory.helper('test', script)
    const failure = await failureOf(get())
    expect(failure).toMatchObject({
      code: 'ERR_REGISTRY_CREDENTIALS',
      message: expect.stringContaining('docker-credential-test'),
      hint: expect.any(String),
    })
    expect(failure.message).toContain(why)
    expect(JSON.stringify(failure)).not.toContain('s3cret')
  })

  it('reports a helper that is not installed, may not run, or has a path for a name', async () => {
    await expect(get('no-such-helper')).rejects.toThrow('it is not installed')
    await directory.write('docker-credential-plain', '#!/bin/sh\n')
    await expect(get('plain')).rejects.toThrow('it may not be executed')
    await expect(get('../../bin/sh')).rejects.toThrow('not a plain file name')
  })

  it('gives up on a helper that hangs, and does not wait for what that has started', async () => {
    await directory.helper('test', 'exec sleep 60')
    await expect(get('test', { timeoutMs: 50 })).rejects.toThrow('did not answer within 0.05 s')
    // It ends when the directory is removed.
    const script = `(while [ -d "${directory.path}" ]; do sleep 0.1; done) & wait`
    await directory.helper('test', script)
    await expect(get('test', { timeoutMs: 200 })).rejects.toThrow('did not answer within 0.2 s')
  })

  it('kills a helper when the signal is aborted, and starts none afterwards', async () => {
    const started = join(directory.path, 'started')
    await directory.helper('test', `echo > "${started}"; exec sleep 60`)
    const controller = new AbortController()
    const answer = failureOf(get('test', { signal: controller.signal }))
    await expect.poll(() => readFile(started).catch(() => undefined)).toBeDefined()
    controller.abort()
    expect(await answer).toMatchObject({ code: 'ERR_REGISTRY_ABORTED' })
    await expect(get('test', { signal: controller.signal })).rejects.toMatchObject({
      code: 'ERR_REGISTRY_ABORTED',
    })
  })
})

describe('storeInHelper and eraseFromHelper', () => {
  it('speak the protocol of helpers', async () => {
    await directory.keepingHelper('test')
    const { env } = directory
    await storeInHelper('test', 'host.example', password('u', 's3cret'), { env })
    expect(await get()).toEqual(password('u', 's3cret'))
    const token = { type: 'identity-token', token: 'long' } as const
    await storeInHelper('test', 'host.example', token, { env })
    expect(await get()).toEqual(token)
    await eraseFromHelper('test', 'host.example', { env })
    expect(await get()).toBeUndefined()
    await eraseFromHelper('test', 'host.example', { env })
    expect((await readFile(join(directory.path, 'test.calls'), 'utf8')).split('\n')).toEqual([
      'store {"ServerURL":"host.example","Username":"u","Secret":"…"}',
      'get host.example',
      'store {"ServerURL":"host.example","Username":"<token>","Secret":"…"}',
      'get host.example',
      'erase host.example',
      'get host.example',
      'erase host.example',
      '',
    ])
  })

  it('report a failure without quoting it', async () => {
    await directory.helper('test', 'echo s3cret; cat; exit 1')
    const { env } = directory
    const failures = [
      await failureOf(storeInHelper('test', 'host.example', password('u', 's3cret'), { env })),
      await failureOf(eraseFromHelper('test', 'host.example', { env })),
    ]
    for (const failure of failures) {
      expect(failure).toMatchObject({ code: 'ERR_REGISTRY_CREDENTIALS' })
      expect(JSON.stringify(failure)).not.toContain('s3cret')
    }
  })
})
