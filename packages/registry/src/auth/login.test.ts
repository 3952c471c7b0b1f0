import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { requiresProgram } from '@cromwell/test-support'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createTestRegistry, type TestRegistryOptions } from '../testing/index.ts'
import {
  type AuthDirectory,
  base64,
  failureOf,
  makeAuthDirectory,
  password,
} from './auth-files.test.fixture.ts'
import { type Credentials, encodeBasic } from './credentials.ts'
import { fileCredentials } from './file-credentials.ts'
import { login, logout } from './login.ts'
import { parseServer } from './registry-key.ts'
import { startTokenServer } from './token-server.test.fixture.ts'

const run = promisify(execFile)
const users = { ann: 'pass:word ü' }
const ann = password('ann', users.ann)
const open: Array<{ close(): Promise<void> }> = []
let directory: AuthDirectory

beforeEach(async () => {
  directory = await makeAuthDirectory()
})

afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
  await directory.remove()
})

async function registryFor(options: TestRegistryOptions): Promise<string> {
  const registry = await createTestRegistry({ users, ...options })
  open.push(registry)
  return registry.host
}

async function json(file: string): Promise<unknown> {
  return JSON.parse(await readFile(file, 'utf8'))
}

describe('login', () => {
  it('checks and keeps a user and password', async () => {
    const registry = await registryFor({ auth: 'basic' })
    const file = await directory.write('config.json', { auths: { 'b.example': {} }, other: 1 })
    expect(await login({ registry, credentials: ann, file })).toEqual({
      registry,
      file,
      stored: 'password',
      verified: true,
    })
    const entry = { auth: base64(`ann:${users.ann}`) }
    expect(await json(file)).toEqual({ auths: { 'b.example': {}, [registry]: entry }, other: 1 })
    expect(await fileCredentials({ dockerConfig: file })({ registry })).toEqual(ann)
  })

  it.each(['basic', 'token'] as const)(
    'writes nothing if the registry says no (%s)',
    async (auth) => {
      const registry = await registryFor({ auth, private: true })
      const file = join(directory.path, 'config.json')
      const credentials = password('ann', 'wr0ng')
      const failure = await failureOf(login({ registry, credentials, file }))
      expect(failure).toMatchObject({
        code: 'ERR_REGISTRY_UNAUTHORIZED',
        message: expect.stringContaining(
          `cannot log in to ${registry}: it refuses the user name and password`,
        ),
        status: 401,
      })
      await expect(readFile(file)).rejects.toThrow('ENOENT')
    },
  )

  it('says when the registry asked for nothing', async () => {
    const registry = await registryFor({ auth: 'none' })
    const file = join(directory.path, 'config.json')
    expect(await login({ registry, credentials: ann, file })).toMatchObject({ verified: false })
  })

  it('keeps an identity token where the service gives one, and the password nowhere', async () => {
    const server = await startTokenServer()
    open.push(server)
    const registry = server.host
    server.answer = ({ url, authorization, method, form }) => {
      if (url.pathname !== '/token') {
        return authorization?.startsWith('Bearer ')
          ? {}
          : { status: 401, headers: { 'www-authenticate': `Bearer realm="${server.realm}"` } }
      }
      if (method === 'POST') {
        return form.get('refresh_token') === 'identity' ? { access_token: 'x' } : { status: 400 }
      }
      if (authorization !== `Basic ${encodeBasic('ann', users.ann)}`) return { status: 401 }
      const offline = url.searchParams.get('offline_token') === 'true'
      return { token: 'x', ...(offline ? { refresh_token: 'identity' } : {}) }
    }
    const file = join(directory.path, 'config.json')
    const result = await login({ registry, credentials: ann, file })
    expect(result).toMatchObject({ stored: 'identity-token', verified: true })
    expect(await json(file)).toEqual({
      auths: { [registry]: { auth: base64('ann:'), identitytoken: 'identity' } },
    })
    const token: Credentials = { type: 'identity-token', token: 'identity', username: 'ann' }
    expect(await fileCredentials({ dockerConfig: file })({ registry })).toEqual(token)
    expect(await login({ registry, credentials: token, file })).toMatchObject({ verified: true })
    const gone: Credentials = { type: 'identity-token', token: 'gone' }
    expect(await failureOf(login({ registry, credentials: gone, file }))).toMatchObject({
      code: 'ERR_REGISTRY_UNAUTHORIZED',
      message: expect.stringContaining('it refuses the token'),
    })
  })

  it('gives the secret to the helper that the file names, and leaves an empty entry', async () => {
    const registry = await registryFor({ auth: 'basic' })
    await directory.keepingHelper('keep')
    const file = await directory.write('config.json', {
      auths: { [registry]: { auth: base64('old:0'), email: 'e' } },
      credHelpers: { [registry]: 'keep' },
    })
    const options = { registry, file, helperEnv: directory.env }
    expect(await login({ ...options, credentials: ann })).toMatchObject({ helper: 'keep' })
    expect(await json(file)).toEqual({
      auths: { [registry]: { email: 'e' } },
      credHelpers: { [registry]: 'keep' },
    })
    const find = fileCredentials({ dockerConfig: file, helperEnv: directory.env })
    expect(await find({ registry })).toEqual(ann)
    expect(await logout(options)).toEqual({ registry, file, helper: 'keep', removed: true })
    const after = fileCredentials({ dockerConfig: file, helperEnv: directory.env })
    expect(await after({ registry })).toBeUndefined()
    expect(await logout(options)).toMatchObject({ removed: false })
  })

  it('does not fall back to the file when the helper fails', async () => {
    const registry = await registryFor({ auth: 'basic' })
    await directory.helper('broken', 'exit 1')
    const file = await directory.write('config.json', { credsStore: 'broken' })
    const failure = await failureOf(
      login({ registry, file, credentials: ann, helperEnv: directory.env }),
    )
    expect(failure).toMatchObject({
      code: 'ERR_REGISTRY_CREDENTIALS',
      message: expect.stringContaining('docker-credential-broken'),
    })
    expect(await json(file)).toEqual({ credsStore: 'broken' })
  })

  it('replaces every spelling of the registry', async () => {
    const registry = await registryFor({ auth: 'basic' })
    const file = await directory.write('config.json', {
      auths: {
        [`https://${registry}/v1/`]: { auth: base64('old:0') },
        [`${registry}/team`]: { auth: base64('t:1') },
      },
    })
    await login({ registry: `http://${registry}/v2/`, file, credentials: ann })
    expect(Object.keys(((await json(file)) as { auths: object }).auths)).toEqual([
      `${registry}/team`,
      registry,
    ])
  })

  it('is over when the signal is aborted', async () => {
    const registry = await registryFor({ auth: 'basic' })
    const file = join(directory.path, 'config.json')
    const signal = AbortSignal.abort()
    expect(await failureOf(login({ registry, file, credentials: ann, signal }))).toMatchObject({
      code: 'ERR_REGISTRY_ABORTED',
    })
  })
})

describe('logout', () => {
  it('removes the registry in every spelling, and nothing else', async () => {
    const others = {
      'other.example': { auth: base64('o:1') },
      'docker.io/team': { auth: base64('t:1') },
    }
    const file = await directory.write('config.json', {
      auths: {
        ...others,
        'docker.io': { auth: base64('a:1') },
        'https://index.docker.io/v1/': { auth: base64('b:2') },
      },
      detachKeys: 'x',
    })
    const result = await logout({ registry: 'docker.io', file })
    expect(result).toEqual({ registry: 'docker.io', file, removed: true })
    expect(await json(file)).toEqual({ auths: others, detachKeys: 'x' })
    expect(await logout({ registry: 'docker.io', file })).toMatchObject({ removed: false })
  })

  it('makes no file where there is none', async () => {
    const file = join(directory.path, 'none.json')
    expect(await logout({ registry: 'a.example', file })).toMatchObject({ removed: false })
    await expect(readFile(file)).rejects.toThrow('ENOENT')
  })
})

describe('parseServer', () => {
  it.each([
    ['docker.io', 'docker.io', 'docker.io'],
    ['https://index.docker.io/v1/', 'docker.io', 'docker.io'],
    ['localhost', 'localhost', 'localhost'],
    ['host.example:5000/', 'host.example:5000', 'host.example:5000'],
    ['https://host.example/v2/', 'host.example', 'host.example'],
    ['[::1]:5000', '[::1]:5000', '[::1]:5000'],
    ['host.example/team/app', 'host.example', 'host.example/team/app'],
  ])('understands %s', (text, registry, key) => {
    expect(parseServer(text)).toEqual({ registry, key })
  })

  it.each(['', 'myhost', 'host.example/Team', 'a b', 'ftp://host.example'])(
    'refuses %j',
    (text) => {
      expect(() => parseServer(text)).toThrow(
        expect.objectContaining({ code: 'ERR_REGISTRY_BAD_REFERENCE' }),
      )
    },
  )
})

describe('with skopeo and podman', () => {
  it.for([
    ['skopeo', 'auth.json'],
    ['skopeo', 'config.json'],
    ['podman', 'auth.json'],
    ['podman', 'config.json'],
  ] as const)('%s reads the %s that login wrote', async ([program, name], context) => {
    const path = requiresProgram(context, program)
    const registry = await registryFor({ auth: 'basic' })
    const file = await directory.write(name, { auths: { 'quay.io': { auth: base64('q:1') } } })
    await login({ registry, credentials: ann, file })
    const { stdout } = await run(path, ['login', '--get-login', '--authfile', file, registry])
    expect(stdout).toBe('ann\n')
    // Which logs in with what is in the file.
    await run(path, ['login', '--tls-verify=false', '--authfile', file, registry])
    await logout({ registry, file })
    const after = await failureOf(run(path, ['login', '--get-login', '--authfile', file, registry]))
    expect(after.message).toContain('not logged into')
  })

  it.for([['skopeo'], ['podman']] as const)(
    '%s writes what we read',
    async ([program], context) => {
      const path = requiresProgram(context, program)
      const registry = await registryFor({ auth: 'basic' })
      const file = join(directory.path, 'auth.json')
      const auth = ['-u', 'ann', '-p', users.ann]
      await run(path, ['login', '--tls-verify=false', '--authfile', file, ...auth, registry])
      const find = fileCredentials({ authFiles: [file] })
      expect(await find({ registry, repository: 'team/app' })).toEqual(ann)
      expect(await logout({ registry, file })).toMatchObject({ removed: true })
      expect(await find({ registry })).toBeUndefined()
    },
  )

  it.for([
    ['skopeo', 'auth.json', 'docker.io'],
    ['skopeo', 'config.json', 'https://index.docker.io/v1/'],
  ] as const)(
    "%s finds Docker Hub's credentials in an %s of ours",
    async ([program, name, key], context) => {
      const path = requiresProgram(context, program)
      const file = join(directory.path, name)
      const { storeCredentials } = await import('./credential-store.ts')
      const format = name === 'config.json' ? 'docker' : 'podman'
      await storeCredentials({ file, format, key: 'docker.io', credentials: ann })
      expect(await json(file)).toEqual({ auths: { [key]: { auth: base64(`ann:${users.ann}`) } } })
      const { stdout } = await run(path, ['login', '--get-login', '--authfile', file, 'docker.io'])
      expect(stdout).toBe('ann\n')
    },
  )

  it('skopeo keeps secrets with the same helper', async (context) => {
    const path = requiresProgram(context, 'skopeo')
    const registry = await registryFor({ auth: 'basic' })
    await directory.keepingHelper('keep')
    const file = await directory.write('auth.json', { credHelpers: { [registry]: 'keep' } })
    const env = { ...process.env, ...directory.env }
    await login({ registry, credentials: ann, file, helperEnv: directory.env })
    const { stdout } = await run(path, ['login', '--get-login', '--authfile', file, registry], {
      env,
    })
    expect(stdout).toBe('ann\n')
  })
})
