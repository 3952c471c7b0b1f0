import { copyFileSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { nativeFs } from '@cromwell/ns-native'
import { flattenLayers } from '@cromwell/rootfs'
import { requires, requiresProgram, run } from '@cromwell/test-support'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestEngine, type TestEngine } from './engine.test.fixture.ts'
import { hostImage, hostLayer } from './host-image.test.fixture.ts'

let t: TestEngine

beforeAll(async () => {
  t = await createTestEngine()
})
afterAll(() => t.close())

test('another runtime runs the bundle that we wrote, and sees the same', async (context) => {
  const runc = requiresProgram(context, 'runc')
  requires(context, 'root', t.host.uid === 0, 'runc without root wants a bundle of another kind')
  const image = t.serve('test/base:1', hostImage(hostLayer()))
  const script = 'id; cat /proc/sys/kernel/hostname; cat /proc/self/status; ls /dev /sys/class/net'
  const command = ['sh', '-c', `${script} | cat`]
  const container = await t.engine.run({ image, command, network: 'none', user: 'www' })
  await container.wait()
  const ours: string[] = []
  for await (const { content } of t.engine.logs(container.id)) ours.push(`${content}`)

  const bundle = join(t.home, 'bundle')
  mkdirSync(bundle)
  copyFileSync(join(t.home, 'containers', container.id, 'config.json'), join(bundle, 'config.json'))
  const layers = readdirSync(join(t.home, 'layers')).map((name) =>
    join(t.home, 'layers', name, 'fs'),
  )
  flattenLayers(layers, join(bundle, 'rootfs'), { native: nativeFs })
  const root = join(t.home, 'runc')
  const theirs = await run(runc, ['--root', root, 'run', '--bundle', bundle, 'same'])
  expect(theirs.stderr).toBe('')
  expect(comparable(theirs.stdout)).toEqual(comparable(ours.join('')))
})

/** Without what differs from process to process, and the filter that is asked for in words of our own. */
function comparable(output: string): string[] {
  const varying =
    /^(Name|Pid|PPid|Tgid|Ngid|NS\w+|Vm\w+|Rss\w+|Hugetlb\w+|Threads|SigQ|Seccomp\w*|Mems_\w+|Cpus_\w+|\w*ctxt_switches|x86_\w+|SigIgn|untag_mask|Speculation\w*|FDSize):/
  // runc makes /dev/core only where the host's /proc/kcore is to be seen.
  return output.split('\n').filter((line) => line !== 'core' && !varying.test(line))
}
