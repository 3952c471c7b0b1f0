import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { beforeEach, expect, test } from 'vitest'
import { containerSpec, idMapping, runSpec, temporaryDirectory } from './container.test.fixture.ts'

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

/** Have a container's monitor remove paths, after the container ran `script` on `data`. */
async function remove(paths: string[], data: string, script = 'true') {
  await runSpec(
    containerSpec(['/bin/sh', '-c', script], {
      mounts: [{ type: 'bind', source: data, destination: '/data' }],
      monitor: { removeOnExit: paths },
    }),
  )
}

test('directories of mode 0000 and files of other ids are removed', async () => {
  const data = temporaryDirectory()
  const tree = join(data, 'tree')
  mkdirSync(tree)
  const chown = idMapping.kind === 'single' ? '' : 'chown -R 33:33 /data/tree/other;'
  await remove(
    [tree],
    data,
    `cd /data/tree; mkdir -p other/deep; touch other/deep/x; ${chown} mkdir closed; touch closed/x; chmod 0 closed other other/deep`,
  )
  expect(readdirSync(data)).toEqual([])
})

test('links are removed, not followed', async () => {
  const data = temporaryDirectory()
  const outside = join(data, 'outside')
  mkdirSync(outside)
  writeFileSync(join(outside, 'file'), 'kept')
  mkdirSync(join(data, 'tree'))
  symlinkSync(outside, join(data, 'tree', 'link'))
  symlinkSync(outside, join(data, 'link'))
  await remove([join(data, 'tree'), join(data, 'link')], data)
  expect(readdirSync(data)).toEqual(['outside'])
  expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('kept')
})

test('a tree deeper than any path is removed', async () => {
  const name = 'd'.repeat(200)
  const data = temporaryDirectory()
  await remove(
    [join(data, 'tree')],
    data,
    `cd /data; mkdir tree; cd -P tree; i=0; while [ $i -lt 100 ]; do mkdir ${name} f; cd -P ${name}; i=$((i+1)); done`,
  )
  expect(readdirSync(data)).toEqual([])
})

test('many files are removed, a single file too, and what is missing is no error', async () => {
  const data = temporaryDirectory()
  mkdirSync(join(data, 'many'))
  for (let index = 0; index < 3000; index++) writeFileSync(join(data, 'many', `${index}`), '')
  writeFileSync(join(data, 'one'), '')
  chmodSync(join(data, 'one'), 0)
  await remove([join(data, 'many/'), join(data, 'one'), join(data, 'missing', 'x')], data)
  expect(existsSync(data) && readdirSync(data)).toEqual([])
})
