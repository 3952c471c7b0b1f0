import { describe, expect, it } from 'vitest'
import { createLineReporter } from './progress-reporter.ts'
import { createPushDisplay } from './push-display.ts'

const [a, b, c] = ['a', 'b', 'c'].map((letter) => ({
  digest: `sha256:${letter.repeat(64)}`,
  size: 10,
}))
const [A, B, C] = ['a', 'b', 'c'].map((letter) => letter.repeat(12))
const digest = `sha256:${'d'.repeat(64)}`
const descriptor = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 424 }

describe('createPushDisplay', () => {
  it('tells a push in docker’s words', () => {
    const written: string[] = []
    const reporter = createLineReporter({ write: (text) => written.push(text) })
    const layers = [a, b, c].flatMap((layer) => layer ?? [])
    const show = createPushDisplay(reporter, { destination: 'localhost:5000/team/app:1', layers })
    const [first = '', second = ''] = layers.map((layer) => layer.digest)
    show({ type: 'resolved', descriptor })
    show({ type: 'planned', documents: 1, blobs: 4, bytes: 40 })
    show({ type: 'blob-start', digest: first, size: 10, offset: 0 })
    show({ type: 'blob-progress', digest: first, received: 5, size: 10 })
    show({ type: 'blob-retry', digest: first, attempt: 2, delayMs: 500, reason: 'cut' })
    show({ type: 'blob-progress', digest: first, received: 10, size: 10 })
    show({ type: 'blob-done', digest: first, size: 10, outcome: 'stored' })
    show({ type: 'blob-done', digest: second, size: 10, outcome: 'mounted' })
    show({ type: 'blob-done', digest, size: 2, outcome: 'stored' }) // the configuration is no layer
    show({ type: 'document-done', descriptor, outcome: 'stored' })
    show({ type: 'tagged', name: 'localhost:5000/team/app:1', digest })
    show({ type: 'done', digest })
    expect(written.join('').trimEnd().split('\n')).toEqual([
      'The push refers to repository [localhost:5000/team/app]',
      `${A}: Preparing`,
      `${B}: Preparing`,
      `${C}: Preparing`,
      `${A}: Pushing`,
      `${A}: Retrying in 1 second (cut)`,
      `${A}: Pushing`,
      `${A}: Pushed`,
      `${B}: Mounted from another repository`,
      `${C}: Layer already exists`,
      `1: digest: ${digest} size: 424`,
    ])
  })
})
