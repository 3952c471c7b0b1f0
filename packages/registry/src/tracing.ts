import { type TracingChannel, tracingChannel } from 'node:diagnostics_channel'

/**
 * What is published on the tracing channels of `node:diagnostics_channel`.
 *
 * For each operation there are the channels `tracing:cromwell:registry:NAME:start`, `:end`,
 * `:asyncStart`, `:asyncEnd` and `:error`, which `tracingChannel('cromwell:registry:NAME')` subscribes
 * to at once. All of one operation get the same object; it is filled in as more becomes known, and
 * `error` is added when it fails. URLs are redacted, and nothing else in it grants access. Without a
 * subscriber nothing is made or published.
 */
export interface RegistryTraces {
  /**
   * One HTTP request, to registries, token services and wherever a redirect leads, until the head of
   * the final answer; each attempt is one of its own.
   */
  request: RequestTrace
  /** The transfer of one blob, all of its connections. */
  blob: BlobTrace
  /** A whole `pull`. */
  pull: PullTrace
  /** The upload of one blob, all of its requests; none for what the registry has. */
  upload: UploadTrace
  /** A whole `push`. */
  push: PushTrace
}

/** On `cromwell:registry:request`. */
export interface RequestTrace {
  method: string
  /** Without credentials and signatures. */
  url: string
  /** Of the final answer. */
  status?: number
  error?: unknown
}

/** On `cromwell:registry:blob`. */
export interface BlobTrace {
  /** Familiar name of the image. */
  reference: string
  digest: string
  /** In bytes. */
  size: number
  /** Where the transfer begins: behind what an earlier one left. */
  offset: number
  error?: unknown
}

/** On `cromwell:registry:pull`. */
export interface PullTrace {
  /** Familiar name of the image. */
  reference: string
  /** What the name stands for, once it is stored. */
  digest?: string
  status?: 'downloaded' | 'up-to-date'
  error?: unknown
}

/** On `cromwell:registry:upload`. */
export interface UploadTrace {
  /** Familiar name of the image, or the repository's. */
  reference: string
  digest: string
  /** In bytes. */
  size: number
  outcome?: 'mounted' | 'uploaded' | 'exists'
  error?: unknown
}

/** On `cromwell:registry:push`. */
export interface PushTrace {
  /** Familiar name of the image. */
  reference: string
  /** What the name stands for in the end. */
  digest?: string
  error?: unknown
}

const channels: { [Name in keyof RegistryTraces]: TracingChannel<Name, RegistryTraces[Name]> } = {
  request: tracingChannel('cromwell:registry:request'),
  blob: tracingChannel('cromwell:registry:blob'),
  pull: tracingChannel('cromwell:registry:pull'),
  upload: tracingChannel('cromwell:registry:upload'),
  push: tracingChannel('cromwell:registry:push'),
}

/**
 * Run an operation and publish it, if anybody listens.
 *
 * The result is not published: an HTTP answer may hold secrets. `run` gets the object to add to.
 */
export async function traced<Name extends keyof RegistryTraces, Result>(
  name: Name,
  describe: () => RegistryTraces[Name],
  run: (trace: RegistryTraces[Name] | undefined) => Promise<Result>,
): Promise<Result> {
  const channel = channels[name]
  if (!isObserved(channel)) return run(undefined)
  const trace = describe()
  let result: { value: Result } | undefined
  await channel.tracePromise(async () => {
    result = { value: await run(trace) }
  }, trace)
  // The line above throws what `run` throws.
  return (result as unknown as { value: Result }).value
}

function isObserved(channel: (typeof channels)[keyof RegistryTraces]): boolean {
  const { start, end, asyncStart, asyncEnd, error } = channel
  return [start, end, asyncStart, asyncEnd, error].some(({ hasSubscribers }) => hasSubscribers)
}
