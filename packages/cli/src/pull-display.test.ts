import { describe, expect, it } from 'vitest'
import { createLineReporter } from './progress-reporter.ts'
import { createPullDisplay } from './pull-display.ts'

const manifest = `sha256:${'c'.repeat(64)}`
const layer = { mediaType: 'x', digest: `sha256:${'a'.repeat(64)}`, size: 10 }

/** What is printed about a pull of `asked` that turns out with this status. */
function show(asked: string, status: 'downloaded' | 'up-to-date'): string[] {
  let text = ''
  const reporter = createLineReporter({
    write: (more) => {
      text += more
    },
  })
  const onEvent = createPullDisplay({ reporter, asked })
  onEvent({ type: 'resolve', reference: asked })
  if (status === 'downloaded') {
    const platform = { os: 'linux', architecture: 'amd64' }
    onEvent({ type: 'retry', attempt: 1, delayMs: 2000, reason: 'status 503' })
    onEvent({ type: 'resolved', digest: manifest, mediaType: 'x', platform, layers: [layer] })
    onEvent({ type: 'layer-done', digest: layer.digest })
  }
  onEvent({ type: 'done', digest: manifest, status })
  return text.trimEnd().split('\n')
}

describe('a pull in words', () => {
  it('is docker’s', () => {
    expect(show('alpine', 'downloaded')).toEqual([
      'Using default tag: latest',
      'Retrying in 2s (status 503)',
      'latest: Pulling from library/alpine',
      'aaaaaaaaaaaa: Pulling fs layer',
      'aaaaaaaaaaaa: Pull complete',
      `Digest: ${manifest}`,
      'Status: Downloaded newer image for alpine:latest',
    ])
  })

  it('says when there was nothing to do, and where an image of another registry is from', () => {
    expect(show('localhost:5000/team/app:1.2', 'up-to-date')).toEqual([
      '1.2: Pulling from team/app',
      `Digest: ${manifest}`,
      'Status: Image is up to date for localhost:5000/team/app:1.2',
    ])
  })

  it('names the digest that was asked for', () => {
    const asked = `user/app@${manifest}`
    expect(show(asked, 'up-to-date')).toEqual([
      `${manifest}: Pulling from user/app`,
      `Digest: ${manifest}`,
      `Status: Image is up to date for ${asked}`,
    ])
  })

  it('refuses what is no reference before anything happens', () => {
    expect(() => show('UPPER/case!', 'downloaded')).toThrow(
      expect.objectContaining({ code: 'ERR_REGISTRY_BAD_REFERENCE' }),
    )
  })
})
