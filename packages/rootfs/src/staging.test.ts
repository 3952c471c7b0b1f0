import { expect, test } from 'vitest'
import { createStaging, listStagings } from './staging.ts'
import { temporaryDirectory } from './trees.test.fixture.ts'

test('who begins later stands behind who is there already, within one millisecond too', () => {
  const directory = temporaryDirectory()
  const made = Array.from({ length: 50 }, () => createStaging(directory, 'layer').name)
  expect(listStagings(directory).map(({ name }) => name)).toEqual(made)
})
