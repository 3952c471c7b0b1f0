import type { EngineEvent } from '@cromwell/engine'
import type { PullEvent, PushEvent } from '@cromwell/registry'
import { parseReference } from '@cromwell/registry/reference'
import { reportWarning } from './error-report.ts'
import type { Output } from './output.ts'
import {
  createBarReporter,
  createLineReporter,
  createSilentReporter,
  type ProgressReporter,
} from './progress-reporter.ts'
import { createPullDisplay, familiarWithVersion } from './pull-display.ts'
import { createPushDisplay } from './push-display.ts'
import { terminalSizer } from './terminal.ts'

/** Where and how what the engine does is shown. */
export interface EngineDisplayOptions {
  /** Where progress goes: stdout for `pull` and `push`, stderr for `run`. */
  progress: Output
  err: Output
  quiet: boolean
  color: boolean
  /** The image as the user wrote it. */
  asked: string
  /** When a pull begins, say that the image was not here. */
  announceMissing?: boolean
}

/** Shows what the engine does. */
export interface EngineDisplay {
  onEvent(event: EngineEvent): void
  /** Leave the screen in order. To be called before anything else is printed, also after an error. */
  end(): void
}

/** Bars on a terminal, lines elsewhere, nothing but warnings with `quiet`. */
export function createEngineDisplay(options: EngineDisplayOptions): EngineDisplay {
  const { asked, err } = options
  let reporter: ProgressReporter | undefined
  let onPull: ((event: PullEvent) => void) | undefined
  let onPush: ((event: PushEvent) => void) | undefined
  const report = () => {
    reporter ??= createReporter(options) // most runs have nothing to show: not before there is something
    return reporter
  }
  return {
    onEvent: (event) => {
      switch (event.type) {
        case 'pull-start':
          if (options.announceMissing) report().line(missingLine(asked))
          break
        case 'pull':
          onPull ??= createPullDisplay({ reporter: report(), asked })
          onPull(event.event)
          break
        case 'push-start':
          onPush = createPushDisplay(report(), event)
          break
        case 'push':
          onPush?.(event.event)
          break
        case 'warning':
          if (event.code === 'single-id') break // said of this host, at each run: not worth a line
          reporter?.end()
          err.write(reportWarning(event, { color: options.color && err.isTerminal }))
          break
        default:
          report().unpacking(event)
      }
    },
    end: () => reporter?.end(),
  }
}

function missingLine(asked: string): string {
  return `Unable to find image '${familiarWithVersion(parseReference(asked))}' locally`
}

function createReporter({ quiet, progress }: EngineDisplayOptions): ProgressReporter {
  if (quiet) return createSilentReporter()
  if (!progress.isTerminal) return createLineReporter(progress)
  return createBarReporter({
    write: (text) => progress.write(text),
    size: terminalSizer(progress.fd),
  })
}
