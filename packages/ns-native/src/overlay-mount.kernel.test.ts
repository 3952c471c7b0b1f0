import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CAPABILITIES } from './defaults.ts'
import { launch } from './launch.ts'
import type { IdMappingPlan } from './launch-spec.ts'

// An overlay beside the root's own: what a root is put together from where the host has file
// systems mounted inside of it.

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cromwell-overlay-'))
  for (const name of ['root', 'base', 'top', 'upper', 'work']) mkdirSync(join(directory, name))
  writeFileSync(join(directory, 'base', 'shared'), 'base')
  writeFileSync(join(directory, 'base', 'low'), 'low')
  writeFileSync(join(directory, 'top', 'shared'), 'top')
})
afterEach(() => {
  chmodSync(join(directory, 'work', 'work'), 0o700) // overlayfs leaves it closed even to its owner
  rmSync(directory, { recursive: true })
})

test('layers are stacked base first, and what is written goes to the upper directory only', async () => {
  const output = await run('cat /data/shared /data/low && echo new >/data/new')
  expect(output).toBe('toplow')
  expect(readdirSync(join(directory, 'upper'))).toEqual(['new'])
  expect(readdirSync(join(directory, 'base')).sort()).toEqual(['low', 'shared'])
  expect(readdirSync(join(directory, 'top'))).toEqual(['shared'])
})

async function run(script: string): Promise<string> {
  const path = (name: string) => join(directory, name)
  const own = (id: number) => [{ containerID: 0, hostID: id, size: 1 }]
  const idMapping: IdMappingPlan = {
    kind: 'single',
    uidMappings: own(process.geteuid?.() ?? 0),
    gidMappings: own(process.getegid?.() ?? 0),
    key: 'single',
  }
  const host = ['/usr', '/bin', '/lib', '/lib64'].map((name) => {
    return { type: 'bind', source: name, destination: name, readonly: true } as const
  })
  const process_ = await launch(
    {
      namespaces: ['user', 'mount', 'pid'],
      idMapping,
      root: { path: path('root') },
      mounts: [
        ...host,
        {
          type: 'overlay',
          destination: '/data',
          lowerDirs: [path('base'), path('top')],
          upperDir: path('upper'),
          workDir: path('work'),
        },
      ],
      maskedPaths: [],
      readonlyPaths: [],
      process: {
        args: ['sh', '-c', script],
        env: ['PATH=/usr/bin:/bin'],
        cwd: '/',
        uid: 0,
        gid: 0,
        additionalGids: [],
        umask: 0o022,
        capabilities: Object.keys(CAPABILITIES),
        noNewPrivileges: true,
      },
    },
    { stdio: ['ignore', 'pipe', 'ignore'] },
  )
  const output = process_.stdout === undefined ? '' : await text(process_.stdout)
  const status = await process_.wait()
  expect(status.exitCode).toBe(0)
  return output
}
