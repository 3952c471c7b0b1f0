import type { PullEvent } from '@cromwell/registry'
import { parseReference, type Reference } from '@cromwell/registry/reference'
import { formatRemaining } from './duration.ts'
import type { ProgressReporter } from './progress-reporter.ts'

/**
 * Show a pull in docker's words: where from, each layer, the digest, and whether anything was new.
 * `asked` is the image as the user wrote it. Returns what takes the events. Throws
 * ERR_REGISTRY_BAD_REFERENCE.
 */
export function createPullDisplay({
  reporter,
  asked,
}: {
  reporter: ProgressReporter
  asked: string
}): (event: PullEvent) => void {
  const reference = parseReference(asked)
  let found = false
  const announce = () => {
    if (found) return
    found = true
    reporter.line(`${reference.digest ?? reference.tag}: Pulling from ${reference.repository}`)
  }
  return (event) => {
    switch (event.type) {
      case 'resolve':
        if (!namesVersion(asked)) reporter.line(`Using default tag: ${reference.tag}`)
        break
      case 'resolved':
        announce()
        reporter.event(event)
        break
      case 'retry':
        reporter.line(retryLine(event))
        break
      case 'done':
        announce()
        reporter.end()
        reporter.line(`Digest: ${event.digest}`)
        reporter.line(`Status: ${STATUS[event.status]} for ${familiarWithVersion(reference)}`)
        break
      case 'rate-limit':
        break
      case 'warning':
        break // comes as an event of the engine, too
      default:
        reporter.event(event)
    }
  }
}

const STATUS = {
  downloaded: 'Downloaded newer image',
  'up-to-date': 'Image is up to date',
}

/** `alpine:latest`: without docker.io and library/, but always with the version. */
export function familiarWithVersion({ registry, repository, tag, digest }: Reference): string {
  const version = digest === undefined ? `:${tag}` : `@${digest}`
  if (registry !== 'docker.io') return `${registry}/${repository}${version}`
  return repository.replace(/^library\//, '') + version
}

function retryLine({ delayMs, reason }: { delayMs: number; reason: string }): string {
  return `Retrying in ${formatRemaining(delayMs)} (${reason})`
}

/** Whether a reference says which version it means: by a digest, or a tag after the last slash. */
function namesVersion(asked: string): boolean {
  return asked.includes('@') || asked.slice(asked.lastIndexOf('/') + 1).includes(':')
}
