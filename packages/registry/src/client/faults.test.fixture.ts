import { isRegistryError, REGISTRY_ERROR_CODES, type RegistryError } from '../errors.ts'
import type { Endpoint, Fault } from '../testing/fault.ts'
import { KNOWN_FAULTS } from '../testing/index.ts'
import type { RegistryClientOptions } from './registry-client.ts'

/** One fault at one point of a call. */
export interface FaultCase {
  /** The fault's name, its method and endpoint, and when it happens. */
  title: string
  /** Name, method and endpoint. */
  key: string
  fault: Fault
  once: boolean
}

/** Faults that end a call though they happen once: why, by which names, at which `METHOD ENDPOINT`s. */
export interface FinalFaults {
  because: string
  names: readonly string[]
  at: readonly string[]
}

/** Times that are as good as for ever. */
const ALWAYS = 1_000_000
/** Nothing hangs longer; a call that is still going on then has failed its test. */
const HANGS_AFTER_MS = 120_000
/** As many at a time as keep the processor busy while others wait for their timeouts. */
const AT_A_TIME = 12

/** Every known fault at these `METHOD ENDPOINT`s: at each of these requests once, and for ever. */
export function faultCases(places: readonly string[], points = [1]): FaultCase[] {
  return KNOWN_FAULTS.flatMap(({ name, effect, on, methods = ['GET'] }) =>
    methods.flatMap((method) =>
      on
        .filter((endpoint) => places.includes(`${method} ${endpoint}`))
        .flatMap((endpoint) => [
          ...points.map((nth) =>
            faultCase(name, { ...effect, on: endpoint, method, nth }, `at request ${nth}`),
          ),
          faultCase(name, { ...effect, on: endpoint, method, times: ALWAYS }, 'for ever'),
        ]),
    ),
  )
}

function faultCase(name: string, fault: Fault, when: string): FaultCase {
  const key = `${name}, ${fault.method} ${fault.on}`
  return { title: `${key}, ${when}`, key, fault, once: fault.times === undefined }
}

/** The same fault at another endpoint, such as `redirect`. */
export function movedTo(on: Endpoint, { title, key, fault, once }: FaultCase): FaultCase {
  return {
    title: `${title}, at ${on}`,
    key: key.replace(fault.on, on),
    fault: { ...fault, on },
    once,
  }
}

/**
 * A client that is quickly impatient. Where a fault happens once, spurious timeouts of a busy machine
 * are made up for by more attempts.
 */
export function hasty({ once }: FaultCase): RegistryClientOptions {
  return {
    timeouts: { headersMs: once ? 400 : 150, bodyMs: once ? 400 : 150 },
    retry: { attempts: once ? 12 : 3, baseMs: 1, maxMs: 20 },
  }
}

/** Run every case, several at a time, and give the titles and messages of those that failed. */
export async function failuresOf(
  cases: readonly FaultCase[],
  run: (each: FaultCase) => Promise<void>,
): Promise<string[]> {
  const failures: string[] = []
  const queue = cases.values()
  const worker = async () => {
    for (const each of queue) {
      try {
        await run(each)
      } catch (error) {
        failures.push(`${each.title}: ${error instanceof Error ? error.message : error}`)
      }
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, worker))
  return failures.sort()
}

/**
 * What a call ended with: its result, or a typed error; anything else, and a call that does not end, is thrown.
 */
export async function outcomeOf<T>(
  call: (signal: AbortSignal) => PromiseLike<T>,
): Promise<{ value: T; error?: never } | { value?: never; error: RegistryError }> {
  const signal = AbortSignal.timeout(HANGS_AFTER_MS)
  try {
    return { value: await call(signal) }
  } catch (error) {
    if (signal.aborted) throw new Error('it hangs', { cause: error })
    if (!isRegistryError(error) || !REGISTRY_ERROR_CODES.includes(error.code)) throw error
    return { error }
  }
}

/** Compares what faults that happen once end with with a table. */
export interface FinalCheck {
  /** Throws if a fault that happened once ended the call, and is not in the table. */
  check(each: FaultCase, error: RegistryError | undefined): void
  /** What the table has, and ended no call, at whichever request it happened. */
  unused(): string[]
}

/** Start to compare. */
export function checkFinal(table: readonly FinalFaults[]): FinalCheck {
  const keys = table.flatMap(({ names, at }) =>
    names.flatMap((name) => at.map((place) => `${name}, ${place}`)),
  )
  const left = new Set(keys)
  return {
    check({ key, once }, error) {
      if (!once || error === undefined) return
      if (!keys.includes(key)) throw new Error(`it is final: ${error.code} ${error.message}`)
      left.delete(key)
    },
    unused: () => [...left],
  }
}
