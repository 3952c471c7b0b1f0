import { RuntimeError } from './errors.ts'

const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/

/**
 * Throws RuntimeError ERR_RUNTIME_ID unless `id` is one harmless file name: letters, digits and
 * `_ . -`, beginning with a letter or digit, at most 128 characters.
 */
export function assertContainerId(id: string): void {
  if (ID.test(id)) return
  throw new RuntimeError(
    'ERR_RUNTIME_ID',
    `cannot use ${JSON.stringify(id).slice(0, 80)} as a container id`,
    { hint: 'use letters, digits and _ . -, beginning with a letter or digit' },
  )
}
