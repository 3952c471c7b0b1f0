import type { CredentialHelperRunner, HelperOptions } from './credential-helper.ts'
import type { Credentials } from './credentials.ts'
import { type SharedWork, shareWork } from './shared-work.ts'

/** Asks helpers, each once for a server. */
export interface HelperPool {
  /** `fresh`: what was answered before is of no use any more. */
  ask(
    helper: string,
    server: string,
    options: { signal?: AbortSignal | undefined; fresh?: boolean },
  ): Promise<Credentials | undefined>
}

/**
 * Make a pool that runs a helper once for each server, and never two runs of one helper at a time.
 *
 * Helpers ask people, and lock databases that a second run then finds locked (rules_img#394). An answer is
 * kept until it is asked for afresh; a failure is not kept.
 */
export function createHelperPool(
  run: CredentialHelperRunner,
  options: Omit<HelperOptions, 'signal'> = {},
): HelperPool {
  const answers = new Map<string, SharedWork<Credentials | undefined>>()
  const lastRuns = new Map<string, Promise<unknown>>()

  function start(helper: string, server: string): SharedWork<Credentials | undefined> {
    const previous = lastRuns.get(helper)
    return shareWork(async (signal) => {
      const running = (async () => {
        await previous?.catch(() => {})
        return run(helper, server, { ...options, signal })
      })()
      lastRuns.set(helper, running)
      return running
    })
  }

  return {
    async ask(helper, server, { signal, fresh = false }) {
      const key = `${helper} ${server}`
      const known = fresh ? undefined : answers.get(key)
      const answer = known === undefined || known.isAbandoned ? start(helper, server) : known
      answers.set(key, answer)
      try {
        return await answer.join(signal)
      } catch (error) {
        if (answers.get(key) === answer && !signal?.aborted) answers.delete(key)
        throw error
      }
    },
  }
}
