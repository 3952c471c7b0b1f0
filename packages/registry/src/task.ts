/**
 * A long operation: a promise of its result and, while it lasts, an iterable of what it tells.
 *
 * ```ts
 * const task = pull('alpine', layout, { client })
 * for await (const event of task) console.log(event.type)
 * const { image } = await task
 * ```
 *
 * - An iteration sees every event from the moment it begins, and of those all: the operation begins only
 *   after the call that started it has returned. There may be any number of iterations at once.
 * - It ends with the operation, and throws what the operation throws. Who leaves it early does not stop
 *   the operation; that is what the `signal` of its options is for.
 * - A failure that neither an iteration nor a handler of the promise gets to see is an unhandled
 *   rejection, as any promise's.
 * - Nothing is kept for iterations that have not begun. For one that lags, news of one thing (the
 *   progress of a layer) give way to fresher ones, and of 10 000 events that wait the oldest is dropped.
 */
export interface Task<Result, Event> extends Promise<Result>, AsyncIterable<Event> {}

/** Options of {@link createTask}. */
export interface TaskOptions<Event> {
  /** What an event is news of, if a later one about the same makes it worthless. */
  topicOf?: (event: Event) => string | undefined
}

const MAX_WAITING = 10_000

/** Start an operation as a task; `run` is called before anything else that waits its turn. */
export function createTask<Result, Event>(
  run: (emit: (event: Event) => void) => Promise<Result>,
  { topicOf = () => undefined }: TaskOptions<Event> = {},
): Task<Result, Event> {
  const readers = new Set<EventQueue<Event>>()
  const emit = (event: Event) => {
    for (const reader of readers) reader.push(event, topicOf(event))
  }
  const outcome = Promise.resolve().then(() => run(emit))
  return new RunningTask<Result, Event>(outcome, readers)
}

type Outcome = { failed: false } | { failed: true; error: unknown }

class RunningTask<Result, Event> extends Promise<Result> implements Task<Result, Event> {
  /** What `then` returns is a plain promise. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  readonly #readers: Set<EventQueue<Event>>
  #outcome: Outcome | undefined
  /** Whether somebody else than an iteration hears of a failure. */
  #hasHandler = false

  constructor(work: Promise<Result>, readers: Set<EventQueue<Event>>) {
    super((resolve, reject) => {
      work.then(resolve, reject)
    })
    this.#readers = readers
    work.then(
      () => this.#end({ failed: false }),
      (error) => this.#end({ failed: true, error }),
    )
  }

  // biome-ignore lint/suspicious/noThenProperty: a promise that knows who hears of its failure
  override then<A = Result, B = never>(
    onFulfilled?: ((value: Result) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#hasHandler = true
    return super.then(onFulfilled, onRejected)
  }

  [Symbol.asyncIterator](): AsyncIterator<Event, undefined> {
    const queue = new EventQueue<Event>()
    this.#readers.add(queue)
    if (this.#outcome !== undefined) this.#end(this.#outcome)
    return {
      next: () => queue.take(),
      return: async () => {
        this.#readers.delete(queue)
        const unseen = queue.abandon()
        if (unseen?.failed) this.#mention(unseen.error)
        return { done: true, value: undefined }
      },
    }
  }

  /** Whoever iterates is told, and that counts as a handler of the failure. */
  #end(outcome: Outcome): void {
    this.#outcome = outcome
    if (this.#readers.size > 0) super.then(undefined, () => {})
    for (const reader of this.#readers) reader.end(outcome)
    this.#readers.clear()
  }

  /** A failure that waited at the end of an iteration that was left before: unhandled, unless it is handled now. */
  #mention(error: unknown): void {
    setImmediate(() => {
      if (!this.#hasHandler) void Promise.reject(error)
    })
  }
}

/** What one iteration has not seen yet. */
class EventQueue<Event> {
  /** By topic, or by a number of its own; in the order of arrival. */
  readonly #waiting = new Map<string | number, Event>()
  readonly #takers: Array<Taker<IteratorResult<Event, undefined>>> = []
  #outcome: Outcome | undefined
  #count = 0

  push(event: Event, topic: string | undefined): void {
    const taker = this.#takers.shift()
    if (taker !== undefined) {
      taker.resolve({ done: false, value: event })
      return
    }
    const key = topic ?? this.#count++
    this.#waiting.delete(key)
    this.#waiting.set(key, event)
    const [oldest] = this.#waiting.keys()
    if (this.#waiting.size > MAX_WAITING && oldest !== undefined) this.#waiting.delete(oldest)
  }

  /** The next event, or the end; after a failure was thrown, or without one, the iteration is done. */
  take(): Promise<IteratorResult<Event, undefined>> {
    for (const [key, value] of this.#waiting) {
      this.#waiting.delete(key)
      return Promise.resolve({ done: false, value })
    }
    return new Promise((resolve, reject) => {
      this.#takers.push({ resolve, reject })
      this.#settle()
    })
  }

  end(outcome: Outcome): void {
    this.#outcome = outcome
    this.#settle()
  }

  /** Forget all. Returns the end, if nobody has seen it. */
  abandon(): Outcome | undefined {
    const unseen = this.#outcome
    this.#waiting.clear()
    this.end({ failed: false })
    return unseen
  }

  #settle(): void {
    if (this.#outcome === undefined) return
    for (const { resolve, reject } of this.#takers.splice(0)) {
      if (this.#outcome.failed) reject(this.#outcome.error)
      else resolve({ done: true, value: undefined })
      this.#outcome = { failed: false }
    }
  }
}

interface Taker<T> {
  resolve(value: T): void
  reject(error: unknown): void
}
