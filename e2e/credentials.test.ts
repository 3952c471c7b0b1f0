import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createTestRegistry, type TestRegistry } from '@cromwell/registry/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeHostImage } from '../scripts/host-image.mjs'
import { type CromwellHome, createCromwellHome } from './support/cromwell.ts'

let registry: TestRegistry
let home: CromwellHome

beforeAll(async () => {
  home = createCromwellHome()
  registry = await createTestRegistry({ auth: 'token', private: true, users: { kim: 's3cret' } })
  registry.addImage('team/app:1', makeHostImage())
})

afterAll(async () => {
  await home.remove()
  await registry.close()
})

function auth(password: string): string {
  const credentials = Buffer.from(`kim:${password}`).toString('base64')
  return JSON.stringify({ auths: { [registry.host]: { auth: credentials } } })
}

function pull(env: NodeJS.ProcessEnv = {}) {
  return home.cromwell(['pull', '-q', `${registry.host}/team/app:1`], { env })
}

describe('a private image', () => {
  it('cannot be had without credentials, and the error says how to log in', async () => {
    const { status, stderr } = await pull()
    expect(status).toBe(125)
    expect(stderr).toMatch(/ERR_REGISTRY_(UNAUTHORIZED|DENIED)/)
    expect(stderr).toMatch(new RegExp(`^hint: .*cromwell login ${registry.host}$`, 'm'))
  })

  it('can be had with those of ~/.docker/config.json', async () => {
    mkdirSync(join(home.home, '.docker'))
    writeFileSync(join(home.home, '.docker', 'config.json'), auth('s3cret'))
    expect(await pull()).toMatchObject({ status: 0, stderr: '' })
  })

  it('can be had with podman’s, wherever REGISTRY_AUTH_FILE says they are', async () => {
    const file = join(home.home, 'auth.json')
    writeFileSync(file, auth('s3cret'))
    const nowhere = join(home.home, 'nowhere')
    const env = { DOCKER_CONFIG: nowhere, REGISTRY_AUTH_FILE: file }
    expect(await pull(env)).toMatchObject({ status: 0, stderr: '' })
  })

  it('cannot be had with wrong ones, which are not shown', async () => {
    const file = join(home.home, 'wrong.json')
    writeFileSync(file, auth('not-s3cret-at-all'))
    const { status, stdout, stderr } = await pull({ REGISTRY_AUTH_FILE: file })
    expect(status).toBe(125)
    expect(stdout + stderr).not.toMatch(/s3cret/)
  })
})
