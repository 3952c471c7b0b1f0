import { describeErrno } from './errno.ts'
import { type NamespaceError, SetupError, UnsupportedError } from './errors.ts'
import { encodeAskUsage, encodeFreeze } from './limit-records.ts'
import type { EffectiveLimits, ExitReason } from './limits.ts'
import type { MonitorEvent } from './records.ts'
import type { Usage } from './usage.ts'

type Connection = { send(message: Buffer): void }

interface Waiting<T> {
  resolve(value: T): void
  reject(reason: Error): void
}

/** Questions about a container's limits that its monitor answers while it runs. */
export class LimitControl {
  readonly effective: EffectiveLimits
  readonly #hasGroup: boolean
  readonly #onLimit: ((reason: ExitReason) => void) | undefined
  readonly #asked = new Map<number, Waiting<Usage>>()
  readonly #freezing: { frozen: boolean; waiting: Waiting<void> }[] = []
  #token = 0
  #ended = false
  #last: Extract<MonitorEvent, { type: 'usage' }> | undefined

  constructor(
    effective: EffectiveLimits,
    hasGroup: boolean,
    onLimit: ((reason: ExitReason) => void) | undefined,
  ) {
    this.effective = effective
    this.#hasGroup = hasGroup
    this.#onLimit = onLimit
  }

  /** What the monitor said at the end. */
  get last(): Extract<MonitorEvent, { type: 'usage' }> | undefined {
    return this.#last
  }

  /** Takes the events that are meant for it; false for others. */
  hear(event: MonitorEvent): boolean {
    switch (event.type) {
      case 'usage':
        if (event.token === 0) this.#last = event
        else this.#asked.get(event.token)?.resolve(event.usage)
        this.#asked.delete(event.token)
        return true
      case 'limit':
        this.#onLimit?.(event.reason)
        return true
      case 'frozen':
        this.#settleFreezing(event.frozen, event.errno)
        return true
      case 'migrated':
        for (const limit of Object.values(this.effective)) {
          if (limit.enforcedBy === 'cgroup2' || limit.enforcedBy === 'systemd') {
            limit.note = 'moved into its group after its birth: clone3 is not allowed here'
          }
        }
        return true
      default:
        return false
    }
  }

  usage(connection: Connection): Promise<Usage> {
    const token = ++this.#token
    return this.#wait((waiting) => {
      this.#asked.set(token, waiting)
      connection.send(encodeAskUsage(token))
    })
  }

  freeze(connection: Connection, frozen: boolean): Promise<void> {
    if (!this.#hasGroup) {
      throw new UnsupportedError('cannot pause: the container has no control group of its own', {
        missing: ['freezer'],
        hint: 'ask for one in the spec: cgroup: {}',
      })
    }
    return this.#wait((waiting) => {
      this.#freezing.push({ frozen, waiting })
      connection.send(encodeFreeze(frozen))
    })
  }

  /** Nobody answers any more. */
  end(): void {
    this.#ended = true
    const waiting = [...this.#asked.values(), ...this.#freezing.map((one) => one.waiting)]
    for (const { reject } of waiting) reject(hasEnded())
    this.#asked.clear()
    this.#freezing.length = 0
  }

  #wait<T>(ask: (waiting: Waiting<T>) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#ended) reject(hasEnded())
      else ask({ resolve, reject })
    })
  }

  // Whoever wanted the other state before was overtaken.
  #settleFreezing(frozen: boolean, errno: number): void {
    for (const one of this.#freezing.splice(0)) {
      if (errno !== 0) {
        const { text } = describeErrno(errno)
        one.waiting.reject(
          new SetupError(`cannot ${one.frozen ? 'pause' : 'resume'}: ${text}`, { errno }),
        )
      } else if (one.frozen === frozen) one.waiting.resolve()
      else this.#freezing.push(one)
    }
  }
}

function hasEnded(): NamespaceError {
  return new SetupError('the container has ended')
}
