import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTestRegistry, type TestRegistry } from '@cromwell/registry/testing'
import { requires, run, which } from '@cromwell/test-support'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeHostImage } from '../scripts/host-image.mjs'
import { createNpmRegistry, type NpmRegistry } from './support/npm-registry.ts'
import { publishWorkspace } from './support/publish-workspace.ts'

let npmRegistry: NpmRegistry
let imageRegistry: TestRegistry
let home: string
let empty: string
let env: NodeJS.ProcessEnv

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'cromwell-install-'))
  empty = join(home, 'empty')
  mkdirSync(empty)
  npmRegistry = await createNpmRegistry()
  imageRegistry = await createTestRegistry({ auth: 'token' })
  imageRegistry.addImage('library/hello:1', makeHostImage())
  await publishWorkspace(npmRegistry, home)
  env = {
    HOME: home,
    PATH: bareBones(join(home, 'bin')),
    npm_config_registry: npmRegistry.url,
    npm_config_ignore_scripts: 'true',
    npm_config_update_notifier: 'false',
  }
})

afterAll(async () => {
  await npmRegistry?.close()
  await imageRegistry?.close()
  rmSync(home, { recursive: true, force: true })
})

/** A directory for PATH with Node, npm and a shell in it: no compiler, no container tool. */
function bareBones(directory: string): string {
  mkdirSync(directory)
  symlinkSync(process.execPath, join(directory, 'node'))
  for (const program of ['npm', 'npx', 'sh', 'env', 'uname']) {
    symlinkSync(which(program) ?? `/nowhere/${program}`, join(directory, program))
  }
  return directory
}

describe('the packages, published to an npm registry and installed from there', () => {
  it('are all seven, without what only tests need', () => {
    const ours = npmRegistry.published().filter((name) => name.startsWith('@cromwell/'))
    expect(ours.sort()).toEqual([
      '@cromwell/cli',
      '@cromwell/engine',
      '@cromwell/ns-native',
      '@cromwell/pidstore',
      '@cromwell/registry',
      '@cromwell/rootfs',
      '@cromwell/runtime',
    ])
  })

  it('run a container by npx in an empty directory, with install scripts off and no compiler', async (context) => {
    const asRoot = process.getuid?.() === 0
    requires(context, 'plain-user', !asRoot, 'this suite runs as root; npx is for plain users')
    const image = `${imageRegistry.host}/library/hello:1`
    const command = ['--yes', '@cromwell/cli', 'run', '--rm', image, 'sh', '-c', 'id -u; exit 42']
    const { status, stdout, stderr } = await run('npx', command, { cwd: empty, env })
    expect({ status, stderr }).toMatchObject({ status: 42 })
    expect(stdout).toMatch(/^hello from [0-9a-f]{12}\n0\n$/)
  })

  it('work as libraries, each from its own install', async () => {
    writeFileSync(join(empty, 'package.json'), '{"type":"module"}')
    const names = ['pidstore', 'registry', 'rootfs', 'ns-native', 'runtime', 'engine']
    const specifiers = names.map((name) => `@cromwell/${name}`)
    const installed = await run('npm', ['install', ...specifiers], { cwd: empty, env })
    expect(installed).toMatchObject({ status: 0 })
    const script = specifiers.map((name) => `await import('${name}')`).join('\n')
    const loaded = await run('node', ['--input-type=module', '-e', script], { cwd: empty, env })
    expect(loaded).toMatchObject({ status: 0, stderr: '' })
  })
})
