import type { ByteString } from './byte-string.ts'
import { enforceLimit, type Limits } from './limits.ts'

/**
 * The components of a name in an archive, cleaned as if the root directory were above everything: a
 * leading `/` and `.` mean nothing, and `..` cannot climb out. An empty list is the root itself.
 */
export function splitEntryName(name: ByteString, limits: Limits): ByteString[] {
  const components: ByteString[] = []
  for (const component of name.split('/')) {
    if (component === '' || component === '.') continue
    if (component === '..') {
      components.pop()
      continue
    }
    if (component.length > limits.componentBytes) {
      enforceLimit(limits, 'componentBytes', component.length, name)
    }
    components.push(component)
  }
  return components
}
