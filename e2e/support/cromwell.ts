import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RunOptions, type RunResult, run } from '@cromwell/test-support'

/** The built command line, as installed in this checkout. */
export const CROMWELL = join(import.meta.dirname, '..', '..', 'node_modules', '.bin', 'cromwell')

/** The command line with an empty `$CROMWELL_HOME` of its own. */
export interface CromwellHome {
  /** `$CROMWELL_HOME` */
  home: string
  /** The environment to run it in by other means than {@link CromwellHome.cromwell}. */
  env: NodeJS.ProcessEnv
  cromwell(args: readonly string[], options?: RunOptions): Promise<RunResult>
  /** End what still runs and remove everything, files of mapped ids included. */
  remove(): Promise<void>
}

/** Make an empty home. */
export function createCromwellHome(): CromwellHome {
  const home = mkdtempSync(join(tmpdir(), 'cromwell-home-'))
  const env = { ...process.env, CROMWELL_HOME: home, HOME: home }
  const cromwell = (args: readonly string[], options: RunOptions = {}): Promise<RunResult> =>
    run(CROMWELL, args, { ...options, env: { ...env, ...options.env } })

  return {
    home,
    env,
    cromwell,
    remove: async () => {
      const { stdout } = await cromwell(['ps', '-aq', '--no-trunc'])
      const ids = stdout.split('\n').filter(Boolean)
      if (ids.length > 0) await cromwell(['rm', '-f', ...ids])
      try {
        rmSync(home, { recursive: true, force: true })
      } catch {
        await run('unshare', ['-Ur', '--map-auto', 'rm', '-rf', home])
      }
    },
  }
}
