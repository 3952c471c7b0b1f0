import type { CliContext } from './command.ts'
import type { ListedContainer } from './container-listing.ts'

export function openEngine(_context: CliContext): {
  list(o: { all: boolean }): Promise<ListedContainer[]>
} {
  return { list: async () => [] }
}
