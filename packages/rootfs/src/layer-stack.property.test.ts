import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { flattenLayers } from './flatten-layers.ts'
import { stacks } from './model.test.fixture.ts'
import { removeTree } from './remove-tree.ts'
import { apply, describeTree, temporaryDirectory, whiteoutNativeFs } from './trees.test.fixture.ts'

test('layers applied one after the other in place are what the image-spec says', async () => {
  const base = temporaryDirectory()
  let run = 0
  await fc.assert(
    fc.asyncProperty(stacks, async ({ layers, model }) => {
      const target = join(base, String(run++))
      for (const layer of layers) await apply(layer, target)
      expect(describeTree(target)).toEqual(model.describe())
      removeTree(target)
    }),
    { numRuns: 400 },
  )
})

test('layers unpacked for overlayfs and flattened are what the image-spec says', async () => {
  const base = temporaryDirectory()
  let run = 0
  await fc.assert(
    fc.asyncProperty(stacks, async ({ layers, model }) => {
      const root = join(base, String(run++))
      const lowerDirs: string[] = []
      for (const [index, layer] of layers.entries()) {
        const directory = join(root, String(index))
        const options = {
          lowerDirs: [...lowerDirs],
          whiteouts: 'overlay',
          native: whiteoutNativeFs,
        } as const
        await apply(layer, directory, options)
        lowerDirs.push(directory)
      }
      const target = join(root, 'flat')
      flattenLayers(lowerDirs, target)
      expect(describeTree(target)).toEqual(model.describe())
      removeTree(root)
    }),
    { numRuns: 150 },
  )
})
