import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  createTestRegistry,
  file,
  makeImage,
  makeLayer,
  type TestImage,
  type TestRegistry,
} from '@cromwell/registry/testing'
import { canCreateUserNamespace, hostPrograms, requires } from '@cromwell/test-support'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CROMWELL, type CromwellHome, createCromwellHome } from './support/cromwell.ts'

let home: CromwellHome
let registry: TestRegistry
/** A reference of an image of two layers that greets with what it is given. */
let hello: string
let image: TestImage

beforeEach(async () => {
  home = createCromwellHome()
  registry = await createTestRegistry({ auth: 'token' })
  image = helloImage()
  registry.addImage('team/hello:1', image)
  hello = `${registry.host}/team/hello:1`
})

afterEach(async () => {
  await home.remove()
  await registry.close()
})

const GREET = '#!/bin/sh\necho "$GREETING $(id -u) $PWD $*"\n'

function helloImage() {
  const programs = hostPrograms(['sh', 'id', 'cat', 'sleep']).map(({ path, content, mode }) => {
    return [path, file(content, { mode })] as const
  })
  return makeImage({
    layers: [
      makeLayer({
        ...Object.fromEntries(programs),
        'etc/passwd': 'bob:x:7:7::/home/bob:/bin/sh\n',
      }),
      makeLayer({ greet: file(GREET, { mode: 0o755 }) }),
    ],
    config: {
      Entrypoint: ['/greet'],
      Cmd: ['world'],
      Env: ['PATH=/bin', 'GREETING=hello'],
      WorkingDir: '/srv',
    },
  })
}

describe('pull', () => {
  it('asks the mirror that registries.conf names, and keeps the name that was asked for', async () => {
    const conf = join(home.home, 'registries.conf')
    writeFileSync(
      conf,
      `[[registry]]
location = "registry.invalid/library"
[[registry.mirror]]
location = "${registry.host}/team"
`,
    )
    const env = { CONTAINERS_REGISTRIES_CONF: conf }
    const name = 'registry.invalid/library/hello:1'
    const { status, stdout, stderr } = await home.cromwell(['pull', name], { env })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toContain(`Status: Downloaded newer image for ${name}\n`)
  })

  it('says in docker’s words what it does, and ends with the full reference', async () => {
    const { status, stdout, stderr } = await home.cromwell(['pull', hello])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const lines = stdout.trimEnd().split('\n')
    expect(lines[0]).toBe('1: Pulling from team/hello')
    expect(lines.slice(-3)).toEqual([
      expect.stringMatching(/^Digest: sha256:[0-9a-f]{64}$/),
      `Status: Downloaded newer image for ${hello}`,
      hello,
    ])
    const states = lines.slice(1, -3)
    for (const state of [
      'Pulling fs layer',
      'Downloading',
      'Verifying Checksum',
      'Pull complete',
    ]) {
      expect(states.filter((line) => line.endsWith(`: ${state}`))).toHaveLength(2)
    }
    expect(stdout).not.toContain('\u001b')
  })

  it('says so when there is nothing to do', async () => {
    await home.cromwell(['pull', hello])
    const { stdout } = await home.cromwell(['pull', '-n', hello])
    expect(stdout).toMatch(/\nStatus: Image is up to date for .*\n.*\n$/)
    expect(stdout).not.toContain('fs layer')
  })

  it('prints the reference alone with -q', async () => {
    expect(await home.cromwell(['pull', '-q', hello])).toEqual({
      status: 0,
      signal: null,
      stdout: `${hello}\n`,
      stderr: '',
    })
  })

  it('tells about a download that breaks off, and goes on with it', async () => {
    const path = image.layers[0]?.digest ?? ''
    registry.addFault({ on: 'blob', path, type: 'cut', afterBytes: 1000 })
    const { status, stdout } = await home.cromwell(['pull', hello])
    expect(status).toBe(0)
    expect(stdout).toMatch(/^[0-9a-f]{12}: Retrying in \d+ seconds? \(.+\)$/m)
  })

  it('reports what is not there with status 125', async () => {
    const { status, stdout, stderr } = await home.cromwell(['pull', `${registry.host}/team/nope`])
    expect(status).toBe(125)
    expect(stdout).toBe('Using default tag: latest\n')
    expect(stderr).toMatch(/^cromwell: .*team\/nope.*\(ERR_REGISTRY_[A-Z_]+\)\n/)
    expect(stderr).not.toMatch(/^ +at /m)
  })

  it('refuses what is no reference', async () => {
    const { status, stderr } = await home.cromwell(['pull', 'Not/A/Reference'])
    expect(status).toBe(125)
    expect(stderr).toMatch(/^cromwell: .*\(ERR_REGISTRY_BAD_REFERENCE\)\nhint: /)
  })

  it('gives up on Ctrl-C, and the next one goes on from there', async () => {
    const big = makeLayer({ big: randomBytes(3_000_000) }, { compression: 'none' })
    registry.addImage('team/big:1', makeImage({ layers: [big] }))
    registry.addFault({ on: 'blob', path: big.digest, type: 'drip', bytes: 100_000, everyMs: 50 })
    const reference = `${registry.host}/team/big:1`
    const child = spawn(CROMWELL, ['pull', reference], {
      env: home.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let errors = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      errors += chunk
    })
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      if (chunk.includes('Downloading')) setTimeout(() => child.kill('SIGINT'), 300)
    })
    expect(await once(child, 'close')).toEqual([null, 'SIGINT'])
    expect(errors).toBe('')
    expect((await home.cromwell(['pull', '-q', reference])).status).toBe(0)
    const ranges = registry.requests.filter(({ headers }) => headers.range !== undefined)
    expect(ranges.length).toBeGreaterThan(0)
  })
})

describe('run of an image', () => {
  beforeEach((context) => {
    requires(context, 'user-namespaces', canCreateUserNamespace(), 'unshare -Ur fails')
  })

  it('pulls it when it is missing, which is no part of the output', async () => {
    const first = await home.cromwell(['run', '--rm', hello])
    expect(first).toMatchObject({ status: 0, stdout: 'hello 0 /srv world\n' })
    expect(first.stderr).toMatch(
      new RegExp(
        `^Unable to find image '${hello}' locally\n1: Pulling from team/hello\n[^]*\nStatus: `,
      ),
    )
    expect(await home.cromwell(['run', '--rm', hello])).toEqual({ ...first, stderr: '' })
  })

  it('says nothing with -q, and does not ask with --pull never', async () => {
    const never = await home.cromwell(['run', '--rm', '--pull', 'never', hello])
    expect(never.status).toBe(125)
    expect(never.stderr).toMatch(
      /^cromwell: .*not on this machine \(ERR_ENGINE_IMAGE_NOT_FOUND\)\n/,
    )
    expect(registry.requests).toEqual([])
    expect(await home.cromwell(['run', '--rm', '-q', hello])).toMatchObject({ stderr: '' })
  })

  it('honours the image, and what replaces it', async () => {
    const run = async (...args: string[]) => {
      const { stdout, stderr } = await home.cromwell(['run', '--rm', '-q', ...args])
      return stdout + stderr
    }
    expect(await run(hello, 'you', '-x')).toBe('hello 0 /srv you -x\n')
    expect(await run('-eGREETING=salut', '-w/', hello)).toBe('salut 0 / world\n')
    expect(await run('--entrypoint', 'cat', hello, '/etc/hostname')).toMatch(/^[0-9a-f]{12}\n$/)
    expect(await run('-h', 'box', '--entrypoint=cat', hello, '/etc/hostname')).toBe('box\n')
  })

  it('runs as the original’s README shows it', async () => {
    const run = (...args: string[]) => home.cromwell(['run', '--pull', 'missing', '-q', ...args])
    expect(await run('-n', hello, '--del')).toMatchObject({ stdout: 'hello 0 /srv world\n' })
    const shell = await run('-n', hello, '--exec', 'echo one; echo two', '--del')
    expect(shell).toMatchObject({ status: 0, stdout: 'one\ntwo\n' })
    expect((await home.cromwell(['ps', '-aq'])).stdout).toBe('')
    const id = 'abc123'.repeat(10).concat('beef')
    const detached = await run('-d', '-n', hello, '--path', id, '--exec', 'sleep 600')
    expect(detached).toEqual({ status: 0, signal: null, stdout: `${id}\n`, stderr: '' })
    expect((await home.cromwell(['ps', '-q', '--no-trunc'])).stdout).toBe(`${id}\n`)
  })

  it('keeps what a detached container writes', async () => {
    const { stdout } = await home.cromwell(['run', '-d', '-q', '--name', 'talker', hello, 'there'])
    const id = stdout.trim()
    await expect.poll(async () => (await home.cromwell(['ps', '-q'])).stdout).toBe('')
    expect(await home.cromwell(['logs', '-f', 'talker'])).toMatchObject({
      status: 0,
      stdout: 'hello 0 /srv there\n',
    })
    expect((await home.cromwell(['rm', id.slice(0, 8)])).stdout).toBe(`${id.slice(0, 8)}\n`)
    expect((await home.cromwell(['logs', 'talker'])).status).toBe(125)
  })

  it('stops what it is asked to, and reports each that it cannot', async () => {
    await home.cromwell(['run', '-d', '-q', '--name', 'one', '--entrypoint', 'sleep', hello, '600'])
    const { status, stdout, stderr } = await home.cromwell(['stop', '-t', '5', 'nobody', 'one'])
    expect({ status, stdout }).toEqual({ status: 1, stdout: 'one\n' })
    expect(stderr).toMatch(/^cromwell: .*"nobody" \(ERR_ENGINE_CONTAINER_NOT_FOUND\)\n/)
    expect((await home.cromwell(['ps', '-a'])).stdout).toMatch(/ Exited \(143\) .* one\n$/)
  })
})
