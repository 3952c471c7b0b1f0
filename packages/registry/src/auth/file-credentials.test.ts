import { EventEmitter, once } from 'node:events'
import { chmod, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type AuthDirectory,
  base64,
  failureOf,
  makeAuthDirectory,
  password,
} from './auth-files.test.fixture.ts'
import type { CredentialHelperRunner } from './credential-helper.ts'
import { staticCredentials } from './credentials.ts'
import { fileCredentials } from './file-credentials.ts'

let directory: AuthDirectory

beforeEach(async () => {
  directory = await makeAuthDirectory()
})

afterEach(() => directory.remove())

describe('fileCredentials', () => {
  it('reads base64 pairs, plain pairs and identity tokens', async () => {
    const dockerConfig = await directory.write('config.json', {
      auths: {
        'a.example': { auth: base64('ann:se:cret') },
        'b.example': { username: 'bob', password: 'builder' },
        'c.example': { auth: base64('carl:'), identitytoken: 'long-lived' },
        'd.example': {},
        'e.example': { registrytoken: 'as-it-is' },
      },
    })
    const find = fileCredentials({ dockerConfig })
    expect(await find({ registry: 'a.example' })).toEqual(password('ann', 'se:cret'))
    expect(await find({ registry: 'b.example' })).toEqual(password('bob', 'builder'))
    expect(await find({ registry: 'c.example' })).toEqual({
      type: 'identity-token',
      token: 'long-lived',
      username: 'carl',
    })
    expect(await find({ registry: 'd.example' })).toBeUndefined()
    expect(await find({ registry: 'e.example' })).toEqual({
      type: 'registry-token',
      token: 'as-it-is',
    })
    expect(await find({ registry: 'f.example' })).toBeUndefined()
  })

  it.each([
    'https://index.docker.io/v1/',
    'index.docker.io',
    'docker.io',
    'registry-1.docker.io',
    'https://index.docker.io/v2/',
  ])("finds Docker Hub's credentials under %s", async (key) => {
    const dockerConfig = await directory.write('config.json', {
      auths: { [key]: { auth: base64('u:p') } },
    })
    const find = fileCredentials({ dockerConfig })
    expect(await find({ registry: 'docker.io', repository: 'library/alpine' })).toEqual(
      password('u', 'p'),
    )
  })

  it.each(['https://host.example', 'https://host.example/v2/', 'http://host.example/v1/'])(
    'understands %s as a host',
    async (key) => {
      const dockerConfig = await directory.write('config.json', {
        auths: { [key]: { auth: base64('u:p') } },
      })
      expect(await fileCredentials({ dockerConfig })({ registry: 'host.example' })).toEqual(
        password('u', 'p'),
      )
    },
  )

  it("prefers podman's most specific key", async () => {
    const file = await directory.write('auth.json', {
      auths: {
        'host.example:5000': { auth: base64('host:1') },
        'host.example:5000/team': { auth: base64('team:2') },
        'host.example:5000/team/app': { auth: base64('app:3') },
      },
    })
    const find = fileCredentials({ authFiles: [file] })
    const userOf = async (repository?: string) =>
      find({ registry: 'host.example:5000', ...(repository ? { repository } : {}) })
    expect(await userOf('team/app')).toEqual(password('app', '3'))
    expect(await userOf('team/app/part')).toEqual(password('app', '3'))
    expect(await userOf('team/application')).toEqual(password('team', '2'))
    expect(await userOf('teams')).toEqual(password('host', '1'))
    expect(await userOf()).toEqual(password('host', '1'))
    expect(await find({ registry: 'host.example' })).toBeUndefined()
  })

  it('asks the files in order, and passes over those that are not there', async () => {
    const first = await directory.write('1.json', {
      auths: { 'a.example': { auth: base64('first:1') } },
    })
    const docker = await directory.write('2.json', {
      auths: {
        'a.example': { auth: base64('second:2') },
        'b.example': { auth: base64('second:2') },
      },
    })
    const find = fileCredentials({
      authFiles: [join(directory.path, 'none'), first],
      dockerConfig: docker,
    })
    expect(await find({ registry: 'a.example' })).toEqual(password('first', '1'))
    expect(await find({ registry: 'b.example' })).toEqual(password('second', '2'))
    expect(await fileCredentials()({ registry: 'a.example' })).toBeUndefined()
  })

  it("asks a host's helper, then the store, then the file itself, each once", async () => {
    const dockerConfig = await directory.write('config.json', {
      auths: { 'c.example': { auth: base64('file:1') } },
      credHelpers: { 'a.example': 'special' },
      credsStore: 'general',
    })
    const calls: string[] = []
    const runHelper: CredentialHelperRunner = async (helper, server) => {
      calls.push(`${helper} ${server}`)
      return server === 'c.example' ? undefined : password(helper, server)
    }
    const find = fileCredentials({ dockerConfig, runHelper })
    const answers = await Promise.all(
      ['a.example', 'a.example', 'docker.io', 'c.example'].map((registry) => find({ registry })),
    )
    expect(answers).toEqual([
      password('special', 'a.example'),
      password('special', 'a.example'),
      password('general', 'https://index.docker.io/v1/'),
      password('file', '1'),
    ])
    expect(calls.sort()).toEqual([
      'general c.example',
      'general https://index.docker.io/v1/',
      'special a.example',
    ])
  })

  it.each([
    ['no JSON', '{"auths": {"a.example": {"auth": "c2VjcmV0"', 'it is not JSON'],
    ['another JSON', '["c2VjcmV0"]', 'it is not a JSON object'],
    ['auths that are none', '{"auths": "c2VjcmV0"}', '"auths" is not an object'],
    ['a pair that is none', '{"auths": {"a.example": {"auth": "c2VjcmV0"}}}', 'a.example'],
  ])('names a file with %s without quoting it', async (_, text, why) => {
    const dockerConfig = await directory.write('config.json', text)
    const failure = await failureOf(fileCredentials({ dockerConfig })({ registry: 'a.example' }))
    expect(failure).toMatchObject({
      code: 'ERR_REGISTRY_CREDENTIALS',
      path: dockerConfig,
      message: expect.stringContaining(why),
    })
    expect(JSON.stringify(failure)).not.toContain('c2VjcmV0')
    expect(failure.cause).toBeUndefined()
  })

  it('takes an empty file for one without credentials', async () => {
    const dockerConfig = await directory.write('config.json', '')
    expect(await fileCredentials({ dockerConfig })({ registry: 'a.example' })).toBeUndefined()
  })
})

describe('a file', () => {
  it('with a damaged entry is of use for every other registry', async () => {
    const dockerConfig = await directory.write('config.json', {
      auths: { 'bad.example': { auth: 'c3ByaW5n' }, 'good.example': { auth: base64('u:p') } },
    })
    const find = fileCredentials({ dockerConfig })
    expect(await find({ registry: 'good.example' })).toEqual(password('u', 'p'))
    await expect(find({ registry: 'bad.example' })).rejects.toThrow('bad.example')
  })

  it('may be a text that is given in its place, which comes first', async () => {
    const dockerConfig = await directory.write('config.json', {
      auths: { 'a.example': { auth: base64('file:1') }, 'b.example': { auth: base64('file:1') } },
    })
    const text = JSON.stringify({ auths: { 'a.example': { auth: base64('env:2') } } })
    const find = fileCredentials({
      dockerConfig,
      documents: [{ name: 'DOCKER_AUTH_CONFIG', text }],
    })
    expect(await find({ registry: 'a.example' })).toEqual(password('env', '2'))
    expect(await find({ registry: 'b.example' })).toEqual(password('file', '1'))
    const broken = fileCredentials({
      documents: [{ name: 'DOCKER_AUTH_CONFIG', text: '{"s3cret' }],
    })
    const failure = await failureOf(broken({ registry: 'a.example' }))
    expect(failure.message).toContain('DOCKER_AUTH_CONFIG: it is not JSON')
    expect(JSON.stringify(failure)).not.toContain('s3cret')
  })

  it.each([
    ['docker', 'https://index.docker.io/v1/'],
    ['podman', 'docker.io'],
  ])("in %s's format prefers the key %s of several for Docker Hub", async (format, key) => {
    const path = await directory.write('file.json', {
      auths: Object.fromEntries(
        ['docker.io', 'index.docker.io', 'https://index.docker.io/v1/', 'registry-1.docker.io'].map(
          (name) => [name, { auth: base64(`${name === key ? 'right' : 'wrong'}:x`) }],
        ),
      ),
    })
    const find = fileCredentials(
      format === 'docker' ? { dockerConfig: path } : { authFiles: [path] },
    )
    expect(await find({ registry: 'docker.io' })).toEqual(password('right', 'x'))
  })

  it('prefers auth to user name and password, as docker does', async () => {
    const entry = { auth: base64('new:1'), username: 'old', password: '0' }
    const dockerConfig = await directory.write('config.json', { auths: { 'a.example': entry } })
    expect(await fileCredentials({ dockerConfig })({ registry: 'a.example' })).toEqual(
      password('new', '1'),
    )
  })

  it('that cannot be read is named', async () => {
    const failure = await failureOf(
      fileCredentials({ dockerConfig: directory.path })({ registry: 'a.example' }),
    )
    expect(failure).toMatchObject({ code: 'ERR_REGISTRY_CREDENTIALS', path: directory.path })
    expect(failure.message).toContain('EISDIR')
  })

  it('is not there for who may not enter its directory, and that is no failure', async () => {
    const theirs = join(directory.path, 'theirs')
    const dockerConfig = await directory.write('config.json', {
      auths: { 'a.example': { auth: base64('u:p') } },
    })
    await mkdir(theirs, { mode: 0o000 })
    await chmod(directory.path, 0o755)
    await chmod(dockerConfig, 0o644)
    const find = fileCredentials({ authFiles: [join(theirs, 'auth.json')], dockerConfig })
    await asPlainUser(async () => {
      expect(await find({ registry: 'a.example' })).toEqual(password('u', 'p'))
    })
  })

  it('that is there and may not be read is a failure', async () => {
    const dockerConfig = await directory.write('config.json', {})
    await chmod(directory.path, 0o755)
    await chmod(dockerConfig, 0o000)
    await asPlainUser(async () => {
      const failure = await failureOf(fileCredentials({ dockerConfig })({ registry: 'a.example' }))
      expect(failure.message).toContain('EACCES')
    })
  })

  it('is read anew each time', async () => {
    const find = fileCredentials({ dockerConfig: join(directory.path, 'config.json') })
    expect(await find({ registry: 'a.example' })).toBeUndefined()
    await directory.write('config.json', { auths: { 'a.example': { auth: base64('u:p') } } })
    expect(await find({ registry: 'a.example' })).toEqual(password('u', 'p'))
  })
})

describe('helpers', () => {
  it('of one name run one after the other, and those of other names beside them', async () => {
    const dockerConfig = await directory.write('config.json', {
      credHelpers: { 'a.example': 'one', 'b.example': 'one', 'c.example': 'other' },
    })
    let [running, most] = [0, 0]
    const began = new EventEmitter()
    const both = Promise.all([once(began, 'one'), once(began, 'other')])
    const runHelper: CredentialHelperRunner = async (helper) => {
      began.emit(helper)
      if (helper === 'one') most = Math.max(most, ++running)
      await both // each waits for the other one: never, if they did not run side by side
      await new Promise(setImmediate)
      if (helper === 'one') running -= 1
      return password(helper, 'x')
    }
    const find = fileCredentials({ dockerConfig, runHelper })
    await Promise.all(['a', 'b', 'c'].map((name) => find({ registry: `${name}.example` })))
    expect(most).toBe(1)
  })

  it('are asked again after a failure, and when what they said was refused', async () => {
    const dockerConfig = await directory.write('config.json', { credsStore: 'store' })
    let runs = 0
    const runHelper: CredentialHelperRunner = async () => {
      runs += 1
      if (runs === 1) throw new Error('locked')
      return password('u', String(runs))
    }
    const find = fileCredentials({ dockerConfig, runHelper })
    const query = { registry: 'a.example' }
    await expect(find(query)).rejects.toThrow('locked')
    const first = password('u', '2')
    expect(await find(query)).toEqual(first)
    expect(await find(query)).toEqual(first)
    expect(await find({ ...query, refused: first })).toEqual(password('u', '3'))
    expect(await find(query)).toEqual(password('u', '3'))
  })

  it('for everything come after all files', async () => {
    const authFile = await directory.write('a.json', {
      auths: { 'a.example': { auth: base64('f:1') } },
    })
    const runHelper: CredentialHelperRunner = async (helper, server) => password(helper, server)
    const find = fileCredentials({ authFiles: [authFile], helpers: ['last'], runHelper })
    expect(await find({ registry: 'a.example' })).toEqual(password('f', '1'))
    expect(await find({ registry: 'b.example' })).toEqual(password('last', 'b.example'))
  })

  it('that know Docker Hub by its other name are understood', async () => {
    await directory.keepingHelper('keep')
    const dockerConfig = await directory.write('config.json', { credsStore: 'keep' })
    await directory.write('keep-docker.io', '{"Username":"u","Secret":"p"}')
    const find = fileCredentials({ dockerConfig, helperEnv: directory.env })
    expect(await find({ registry: 'docker.io' })).toEqual(password('u', 'p'))
  })
})

describe('explain', () => {
  it('says which source was chosen, which were passed over, and why', async () => {
    const first = await directory.write('1.json', {
      auths: { 'other.example': { auth: base64('u:p') } },
    })
    const second = await directory.write('2.json', {
      auths: {
        'a.example': { auth: base64('host:p') },
        'a.example/team': { auth: base64('ann:s3cret') },
      },
    })
    const dockerConfig = await directory.write('config.json', {
      auths: { 'a.example': { auth: base64('docker:p') } },
      credsStore: 'store',
    })
    const runHelper: CredentialHelperRunner = async () => {
      throw new Error('it must not run')
    }
    const none = join(directory.path, 'none')
    const find = fileCredentials({ authFiles: [none, first, second], dockerConfig, runHelper })
    const said = await find.explain?.({ registry: 'a.example', repository: 'team/app' })
    const chosen = {
      file: second,
      key: 'a.example/team',
      type: 'password',
      username: 'ann',
      because: 'it is the most specific key that has credentials',
    }
    expect(said).toEqual({
      registry: 'a.example',
      repository: 'team/app',
      chosen,
      considered: [
        { file: none, because: 'there is no such file that this user can reach' },
        { file: first, because: 'it has neither credentials nor a helper for a.example' },
        chosen,
        {
          file: dockerConfig,
          helper: 'docker-credential-store',
          because: 'credsStore names it for all registries, but an earlier source has credentials',
        },
        {
          file: dockerConfig,
          key: 'a.example',
          because:
            'it is the most specific key that has credentials, but an earlier source has credentials',
        },
      ],
    })
    expect(JSON.stringify(said)).not.toContain('s3cret')
  })

  it('tells a helper that knows nothing from one that fails', async () => {
    const dockerConfig = await directory.write('config.json', {
      credHelpers: { 'a.example': 'empty', 'b.example': 'broken' },
    })
    await directory.helper('empty', 'echo credentials not found in native keychain; exit 1')
    await directory.helper('broken', 'echo s3cret; exit 1')
    const find = fileCredentials({ dockerConfig, helperEnv: directory.env })
    const empty = await find.explain?.({ registry: 'a.example' })
    expect(empty?.considered).toEqual([
      {
        file: dockerConfig,
        key: 'a.example',
        helper: 'docker-credential-empty',
        because: 'credHelpers names it for this registry, but it knows no credentials',
      },
    ])
    expect(empty?.chosen).toBeUndefined()
    const broken = await find.explain?.({ registry: 'b.example' })
    expect(broken).toMatchObject({
      considered: [{ because: 'credHelpers names it for this registry, and it fails' }],
      failure: expect.stringContaining('docker-credential-broken failed'),
    })
    expect(JSON.stringify(broken)).not.toContain('s3cret')
  })

  it('names a file that is damaged', async () => {
    const dockerConfig = await directory.write('config.json', '{"s3cret')
    const said = await fileCredentials({ dockerConfig }).explain?.({ registry: 'a.example' })
    expect(said?.failure).toContain(`${dockerConfig}: it is not JSON`)
  })
})

describe('headers', () => {
  it("are docker's X-Meta ones, and no others", async () => {
    const dockerConfig = await directory.write('config.json', {
      HttpHeaders: {
        'X-Meta-Team': 'a',
        Authorization: 'Bearer s3cret',
        'X-Meta-Bad': 'a\r\nb',
        'X-Meta-N': 1,
      },
    })
    expect(await fileCredentials({ dockerConfig }).headers?.()).toEqual({ 'x-meta-team': 'a' })
    expect(await fileCredentials().headers?.()).toEqual({})
  })
})

describe('a renewed identity token', () => {
  const old = { type: 'identity-token', token: 'old', username: 'u' } as const
  const renewed = { ...old, token: 'new' }
  const query = { registry: 'a.example', refused: old }
  const entry = { auth: base64('u:'), identitytoken: 'old', email: 'e' }

  it('replaces the old one in its file', async () => {
    const file = await directory.write('auth.json', { auths: { 'a.example': entry }, other: [1] })
    const find = fileCredentials({ authFiles: [file] })
    await find.renewed?.(query, renewed)
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({
      auths: { 'a.example': { ...entry, identitytoken: 'new' } },
      other: [1],
    })
  })

  it('replaces nothing else, and nothing where that is not wanted', async () => {
    const file = await directory.write('auth.json', { auths: { 'a.example': entry } })
    await fileCredentials({ authFiles: [file], saveRenewed: false }).renewed?.(query, renewed)
    const other = { ...query, refused: { ...old, token: 'another' } }
    await fileCredentials({ authFiles: [file] }).renewed?.(other, renewed)
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ auths: { 'a.example': entry } })
  })
})

describe('staticCredentials', () => {
  it('knows one registry', async () => {
    const find = staticCredentials('host.example', 'u', 'p')
    expect(await find({ registry: 'host.example' })).toEqual(password('u', 'p'))
    expect(await find({ registry: 'other.example' })).toBeUndefined()
    const token = { type: 'registry-token', token: 't' } as const
    expect(await staticCredentials('a.example', token)({ registry: 'a.example' })).toEqual(token)
  })
})

/** Root may look into everything. */
async function asPlainUser(action: () => Promise<void>): Promise<void> {
  const isRoot = process.geteuid?.() === 0
  if (isRoot) process.seteuid?.(65534)
  try {
    await action()
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
}
