import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { stacks } from './model.test.fixture.ts'
import { apply, describeTree, temporaryDirectory, whiteoutNativeFs } from './trees.test.fixture.ts'

test('a real overlay mount of the layers shows what the image-spec says', async (context) => {
  requires(context, 'user namespaces', canCreateUserNamespace(), 'this process may not create one')
  const base = temporaryDirectory()
  const samples = fc.sample(stacks, 60)
  const jobs: { lowerDirs: string[]; copy: string }[] = []
  for (const [number, { layers }] of samples.entries()) {
    const lowerDirs: string[] = []
    for (const [index, layer] of layers.entries()) {
      const directory = join(base, `${number}-${index}`)
      await apply(layer, directory, {
        whiteouts: 'overlay',
        lowerDirs: [...lowerDirs],
        native: whiteoutNativeFs,
      })
      lowerDirs.push(directory)
    }
    const copy = join(base, `${number}-copy`)
    mkdirSync(copy)
    jobs.push({ lowerDirs, copy })
  }
  mountAndCopy(base, jobs)
  for (const [number, { model }] of samples.entries()) {
    expect(describeTree(jobs[number]?.copy ?? '')).toEqual(model.describe())
  }
})

/** Mount each stack as the runtime does, and copy what the kernel shows. */
function mountAndCopy(base: string, jobs: { lowerDirs: string[]; copy: string }[]): void {
  const mountPoint = join(base, 'mnt')
  const empty = join(base, 'empty')
  for (const path of [mountPoint, empty]) mkdirSync(path)
  const commands = jobs.map(({ lowerDirs, copy }) => {
    const lower = [...lowerDirs.toReversed(), empty].join(':')
    return `mount -t overlay overlay -o userxattr,ro,lowerdir=${lower} ${mountPoint} && cp -a ${mountPoint}/. ${copy} && umount ${mountPoint}`
  })
  execFileSync('unshare', ['-Urm', 'sh', '-ec', commands.join('\n')], { stdio: 'pipe' })
}
