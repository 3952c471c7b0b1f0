import type { ProgressEvent } from './layer-progress.ts'
import type { PullReporter } from './pull-reporter.ts'

/** An image reference in its parts. */
interface Reference {
  registry: string
  repository: string
  tag?: string
  digest?: string
}

/** What a pull tells about itself beside its layers. */
export type PullEvent =
  | Exclude<ProgressEvent, { type: 'resolved' }>
  | (Extract<ProgressEvent, { type: 'resolved' }> & { digest: string })
  | { type: 'resolve'; reference: Reference }
  | { type: 'warning'; message: string }
  | { type: 'done'; digest: string; status: 'downloaded' | 'up-to-date' }

/** Where a pull is shown. */
export interface PullDisplayOptions {
  reporter: PullReporter
  /** The image as the user wrote it. */
  asked: string
  warn(message: string): void
}

/**
 * Show a pull in docker's words: where from, each layer, the digest, and whether anything was new.
 * Returns what takes the events.
 */
export function createPullDisplay(options: PullDisplayOptions): (event: PullEvent) => void {
  const { reporter, asked } = options
  let reference: Reference | undefined
  return (event) => {
    switch (event.type) {
      case 'resolve':
        reference = event.reference
        if (!namesVersion(asked)) reporter.line('Using default tag: latest')
        break
      case 'resolved':
        if (reference !== undefined) reporter.line(pullingFrom(reference))
        reporter.event(event)
        break
      case 'warning':
        options.warn(event.message)
        break
      case 'done':
        reporter.end()
        reporter.line(`Digest: ${event.digest}`)
        reporter.line(statusLine(event.status, reference, asked))
        break
      default:
        reporter.event(event)
    }
  }
}

/** Whether a reference says which version it means: by a digest, or a tag after the last slash. */
function namesVersion(asked: string): boolean {
  return asked.includes('@') || asked.slice(asked.lastIndexOf('/') + 1).includes(':')
}

function pullingFrom({ repository, tag, digest }: Reference): string {
  return `${digest ?? tag}: Pulling from ${repository}`
}

function statusLine(
  status: 'downloaded' | 'up-to-date',
  reference: Reference | undefined,
  asked: string,
): string {
  const name = reference === undefined ? asked : familiarWithTag(reference)
  return status === 'downloaded'
    ? `Status: Downloaded newer image for ${name}`
    : `Status: Image is up to date for ${name}`
}

/** `alpine:latest`: without docker.io and library/, but always with the version. */
function familiarWithTag({ registry, repository, tag, digest }: Reference): string {
  const version = digest === undefined ? `:${tag}` : `@${digest}`
  if (registry !== 'docker.io') return `${registry}/${repository}${version}`
  return repository.replace(/^library\//, '') + version
}
