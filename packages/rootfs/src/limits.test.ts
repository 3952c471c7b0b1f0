import { expect, test } from 'vitest'
import type { Limits } from './limits.ts'
import { dir, encodeEntry, file, type LiteralEntry, symlink } from './literal-tar.test.fixture.ts'
import { apply, temporaryDirectory } from './trees.test.fixture.ts'

const cases: [keyof Limits, number, LiteralEntry[] | Buffer][] = [
  ['entries', 2, [file('a'), file('b'), file('c')]],
  ['bytes', 5, [file('a', '123'), file('b', '456')]],
  ['bytes', 5, [file('a', '', { pax: { size: '9007199254740991' } })]],
  ['nameBytes', 10, [file('a/b/c/d/e/f')]],
  ['nameBytes', 10, [symlink('a', '0123456789a')]],
  ['componentBytes', 5, [file('directory/a')]],
  ['depth', 2, [file('a/b/c')]],
  [
    'linkHops',
    2,
    [dir('d/'), symlink('a', 'd'), symlink('b', 'a'), symlink('c', 'b'), file('c/x')],
  ],
  ['paxBytes', 100, [file('a', '', { pax: { comment: 'x'.repeat(100) } })]],
  ['paxBytes', 100, encodeEntry({ name: 'g', typeflag: 'g', content: 'x'.repeat(101) })],
  ['paxBytes', 100, encodeEntry({ name: 'L', typeflag: 'L', content: 'x'.repeat(101) })],
]

test.each(cases)(
  'more %s than %d is a typed error that names the limit',
  async (limit, value, layer) => {
    const work = apply(layer, temporaryDirectory(), { limits: { [limit]: value } })
    await expect(work).rejects.toMatchObject({
      name: 'RootfsError',
      code: 'ERR_ROOTFS_LIMIT',
      limit,
    })
  },
)

test('an oversized PAX header is refused before its body is read (CVE-2022-2879)', async () => {
  const header = encodeEntry({ name: 'x', typeflag: 'x', size: 2 ** 32 })
  await expect(apply(header, temporaryDirectory())).rejects.toMatchObject({ limit: 'paxBytes' })
})

test('global headers are limited in total, however many there are', async () => {
  const globals = Array.from({ length: 30 }, (_, i) =>
    encodeEntry({
      name: 'g',
      typeflag: 'g',
      content: `50 key${String(i).padStart(2, '0')}=${'x'.repeat(40)}\n`,
    }),
  )
  const work = apply(Buffer.concat(globals), temporaryDirectory(), { limits: { paxBytes: 1000 } })
  await expect(work).rejects.toMatchObject({ limit: 'paxBytes' })
})
