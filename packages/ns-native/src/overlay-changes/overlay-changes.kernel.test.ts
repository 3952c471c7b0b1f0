import { mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import fc from 'fast-check'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { containerSpec, idMapping, runSpec, temporaryDirectory } from '../container.test.fixture.ts'
import { hostSystemMounts } from '../host-system.ts'
import { hostIdOf } from '../id-mapping.ts'
import type { LaunchSpec, OverlaySpec } from '../launch-spec.ts'
import type { OverlayChange } from './change.ts'
import { applyChanges, discardChanges, overlayChanges } from './overlay-changes.ts'

// What the kernel's overlayfs really writes, read and applied with the container's ids.

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

interface Project extends OverlaySpec {
  lowerDir: string
}

function project(): Project {
  const top = temporaryDirectory()
  // with the ids of the container, which the files may belong to
  onTestFinished(async () => void (await runOn(top, 'rm -rf lower upper work')))
  const [lowerDir, upperDir, workDir] = ['lower', 'upper', 'work'].map((name) => {
    mkdirSync(join(top, name))
    return join(top, name)
  }) as [string, string, string] // three names, three paths
  return { lowerDir, lowerDirs: [lowerDir], upperDir, workDir }
}

function boxWith(script: string, mount: LaunchSpec['mounts'][number]): LaunchSpec {
  const spec = containerSpec(['/bin/sh', '-c', script], { process: { cwd: '/p' } })
  const dev = { type: 'dev', destination: '/dev' } as const
  return { ...spec, root: { tmpfs: {} }, mounts: [...hostSystemMounts(), dev, mount] }
}

/** Run a script in the overlay of a project; gives what it printed. */
async function runIn({ lowerDir: _, ...overlay }: Project, script: string): Promise<string> {
  const mount = { type: 'overlay', destination: '/p', ...overlay } as const
  const { stdout, stderr, exitCode } = await runSpec(boxWith(script, mount))
  expect([stderr, exitCode]).toEqual(['', 0])
  return stdout
}

/** Run a script in a directory as it is. */
async function runOn(source: string, script: string): Promise<string> {
  const mount = { type: 'bind', source, destination: '/p' } as const
  const { stdout, stderr, exitCode } = await runSpec(boxWith(script, mount))
  expect([stderr, exitCode]).toEqual(['', 0])
  return stdout
}

async function changesOf(overlay: Project): Promise<OverlayChange[]> {
  const found: OverlayChange[] = []
  for await (const change of overlayChanges(overlay, { idMapping })) found.push(change)
  return found
}

// Times to the microsecond, as they are applied. Without the number of links: a lower file keeps
// counting the names that were copied up.
const LIST = `{ find . -mindepth 1 -printf '%p %y %m %U %G %l\\n'
  find . -mindepth 1 ! -type d ! -type l -printf '%p %.26T+ %s\\n'
  find . -type f -exec md5sum {} +; } | LC_ALL=C sort`

test('changes are told with the ids of the container, applied, and can be discarded', async () => {
  const overlay = project()
  writeFileSync(join(overlay.lowerDir, 'old'), 'old')
  mkdirSync(join(overlay.lowerDir, 'd'), { mode: 0o755 }) // whatever the umask
  writeFileSync(join(overlay.lowerDir, 'd', 'x'), 'x')
  const script = `rm old && rm -r d && mkdir d && echo y > d/y && umask 077 && mkdir closed && echo s > closed/s
    ln -s d/y link && mkfifo fifo && chmod 4755 d/y; chown 7:8 closed/s closed 2>/dev/null; true`
  await runIn(overlay, script)
  const many = idMapping.kind !== 'single'
  const found = await changesOf(overlay)
  expect(found.map(({ type, path, kind }) => `${type} ${path} ${kind}`)).toEqual([
    'add /closed directory',
    'add /closed/s file',
    'delete /d/x file',
    'add /d/y file',
    'add /fifo fifo',
    'add /link symlink',
    'delete /old file',
  ])
  expect(found[1]).toMatchObject({
    mode: 0o600,
    sizeBytes: 2,
    uid: many ? 7 : 0,
    gid: many ? 8 : 0,
  })
  expect(found[3]).toMatchObject({ mode: 0o4755, uid: 0 })
  expect(found[5]).toMatchObject({ target: 'd/y' })

  expect(await applyChanges(overlay, overlay.lowerDir, { idMapping })).toEqual({
    written: 6,
    removed: 2,
  })
  expect(readdirSync(overlay.lowerDir).sort()).toEqual(['closed', 'd', 'fifo', 'link'])
  expect(statSync(join(overlay.lowerDir, 'closed')).uid).toBe(
    hostIdOf(idMapping.uidMappings, many ? 7 : 0),
  )
  expect(await changesOf(overlay)).toEqual([])

  await discardChanges(overlay, { idMapping })
  expect([readdirSync(overlay.upperDir), readdirSync(overlay.workDir)]).toEqual([[], []])
  expect(await runIn(overlay, 'cat closed/s d/y')).toBe('s\ny\n')
})

const NAMES = ['a', 'b', 'c', 'a b', 'é']
const path = fc
  .array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 })
  .map((names) => `'${names.join('/')}'`)
const step = fc.oneof(
  path.map((p) => `mkdir -p ${p}`),
  fc.tuple(path, fc.nat(9)).map(([p, n]) => `echo ${n} > ${p}`),
  path.map((p) => `rm -rf ${p}`),
  fc.tuple(path, path).map(([a, b]) => `mv -T ${a} ${b}`),
  fc.tuple(path, path).map(([a, b]) => `ln ${a} ${b}`),
  fc.tuple(path, path).map(([a, b]) => `ln -snf ${a} ${b}`),
  fc.tuple(path, fc.constantFrom('600', '755', '4711', '000')).map(([p, m]) => `chmod ${m} ${p}`),
  path.map((p) => `chown -h 1:2 ${p}`),
  path.map((p) => `mkfifo ${p}`),
  path.map((p) => `touch -h ${p}`),
  path.map((p) => `touch -ah ${p}`),
  path.map((p) => `rm -rf ${p} && mkdir ${p}`),
)
const steps = (maxLength: number) =>
  fc.array(step, { maxLength }).map((lines) => `${lines.join('\n')}\ntrue\n`)

test('property: applied to the layer below, that layer is what the overlay showed', async () => {
  const quiet = (script: string) => `exec 3>&1 >/dev/null 2>&1\n${script}\nexec >&3 2>/dev/null\n`
  await fc.assert(
    fc.asyncProperty(steps(12), steps(25), async (before, after) => {
      const overlay = project()
      await runOn(overlay.lowerDir, quiet(before))
      const shown = await runIn(overlay, `${quiet(after)}${LIST}`)
      const changed = await changesOf(overlay)
      await applyChanges(overlay, overlay.lowerDir, { idMapping })
      expect(await runOn(overlay.lowerDir, LIST)).toBe(shown)
      expect(await changesOf(overlay)).toEqual([])
      if (changed.length > 0) await discardChanges(overlay, { idMapping })
      expect(await runIn(overlay, LIST)).toBe(shown)
    }),
    { numRuns: Number(process.env['CROMWELL_OVERLAY_RUNS'] ?? 6) },
  )
}, 120_000)

test('links that the container made lead nowhere when its changes are applied', async () => {
  const overlay = project()
  const host = temporaryDirectory()
  writeFileSync(join(host, 'file'), 'of the host')
  await runIn(overlay, `ln -s ${host} out && ln -s ${host}/file file && mkdir d && echo x > d/file`)
  const target = temporaryDirectory()
  symlinkSync(host, join(target, 'd'))
  symlinkSync(join(host, 'file'), join(target, 'file'))
  await applyChanges(overlay, target, { idMapping })
  expect(readdirSync(host)).toEqual(['file'])
  expect(readdirSync(target).sort()).toEqual(['d', 'file', 'out'])
  expect(readdirSync(join(target, 'd'))).toEqual(['file'])
})

test('leaving the loop early ends the reader, an abort rejects, a missing directory is told', async () => {
  const overlay = project()
  await runIn(overlay, 'for i in 1 2 3 4 5 6 7 8 9; do mkdir $i; done')
  for await (const { path } of overlayChanges(overlay, { idMapping })) {
    expect(path).toBe('/1')
    break
  }
  const signal = AbortSignal.abort(new Error('enough'))
  await expect(applyChanges(overlay, overlay.lowerDir, { idMapping, signal })).rejects.toThrow(
    'enough',
  )
  const missing = { ...overlay, upperDir: '/no/such/directory' }
  await expect(applyChanges(missing, overlay.lowerDir, { idMapping })).rejects.toMatchObject({
    code: 'ERR_NS_OVERLAY',
    errno: 2,
    path: '/no/such/directory',
  })
})
