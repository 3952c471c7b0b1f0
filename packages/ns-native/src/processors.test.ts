import { expect, test } from 'vitest'
import { allowedProcessors, parseProcessorList } from './processors.ts'

test('lists of processors', () => {
  expect(parseProcessorList('0-3,8')).toEqual([0, 1, 2, 3, 8])
  expect(parseProcessorList('5')).toEqual([5])
  expect(allowedProcessors('Name:\tnode\nCpus_allowed_list:\t2,4-5\n')).toEqual([2, 4, 5])
})
