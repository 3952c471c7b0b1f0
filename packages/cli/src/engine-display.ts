import type { EngineEvent } from '@cromwell/engine'
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
import { terminalSizer } from './terminal.ts'

/** Where and how what the engine does is shown. */
export interface EngineDisplayOptions {
  /** Where progress goes: stdout for `pull`, stderr for `run`. */
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
  const onTerminal = options.progress.isTerminal && !options.quiet
  const reporter = createReporter(options, onTerminal)
  const warn = (message: string) => {
    reporter.end()
    options.err.write(reportWarning(message, { color: options.color && options.err.isTerminal }))
  }
  let unpacking = false
  let onPull: ReturnType<typeof createPullDisplay> | undefined
  return {
    onEvent: (event) => {
      switch (event.type) {
        case 'pull-start':
          if (options.announceMissing) reporter.line(missingLine(options.asked))
          break
        case 'pull':
          onPull ??= createPullDisplay({ reporter, asked: options.asked })
          onPull(event.event)
          break
        case 'warning':
          // said of this host, not of this container: `docs/` tells what follows from it
          if (event.code !== 'single-id') warn(event.message)
          break
        default:
          // on a terminal only, and not for ever: a log has no use for it
          unpacking = onTerminal
          if (onTerminal) reporter.event(event)
      }
    },
    end: () => {
      if (unpacking) reporter.clear()
      reporter.end()
    },
  }
}

function missingLine(asked: string): string {
  return `Unable to find image '${familiarWithVersion(parseReference(asked))}' locally`
}

function createReporter(options: EngineDisplayOptions, onTerminal: boolean): ProgressReporter {
  if (options.quiet) return createSilentReporter()
  if (!onTerminal) return createLineReporter(options.progress)
  const { progress } = options
  return createBarReporter({
    write: (text) => progress.write(text),
    size: terminalSizer(progress.fd),
  })
}
