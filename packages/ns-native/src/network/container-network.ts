import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { describeErrno } from '../errno.ts'
import { PolicyError, SetupError } from '../errors.ts'
import type { InnerAddress, NetworkSpec } from '../launch-spec.ts'
import { DESCRIPTOR_KINDS, type DescriptorEvent } from '../records.ts'
import { isAddress, LOOPBACK } from './endpoint.ts'
import type { HostAccess, HostAccessOptions } from './host-access.ts'
import { InnerListener } from './inner-listener.ts'
import type { Publication, PublishOptions } from './publication.ts'
import {
  hasEnded,
  type InnerSocket,
  type SocketRequest,
  SocketRequests,
} from './socket-requests.ts'

/** How long a connection inside may take to come about. */
export interface ConnectOptions {
  /** Default 30,000. */
  timeoutMs?: number
  signal?: AbortSignal
}

const TIMEOUT_MS = 30_000

/**
 * The container's network, where `network` of its spec put it into this process's hands: sockets
 * made inside by init and used out here. No TUN device, no root, nothing listens on the host unless
 * it is published.
 */
export class ContainerNetwork {
  /** The sockets of `network.listen`, in that order. */
  readonly listeners: readonly InnerListener[]
  readonly #spec: NetworkSpec | undefined
  readonly #requests: SocketRequests
  readonly #listeners: InnerListener[] = []
  readonly #open = new Set<Closable>()
  #ended = false

  /** @internal */
  constructor(spec: NetworkSpec | undefined, send: (message: Buffer) => void) {
    this.#spec = spec
    this.#requests = new SocketRequests(send)
    this.listeners = this.#listeners
  }

  /**
   * Listen inside, for a server of this process. Rejects like `server.listen`: EADDRINUSE when a
   * program inside has the port, EADDRNOTAVAIL for an address that the container does not have.
   */
  async listen(address: InnerAddress): Promise<InnerListener> {
    const { fd, port } = await this.#request({ kind: 'listener', address, timeoutMs: TIMEOUT_MS })
    return this.#track(new InnerListener(fd, address.host ?? LOOPBACK, port))
  }

  /**
   * Connect to a port inside. Rejects like `net.connect`: ECONNREFUSED when nothing listens there,
   * ETIMEDOUT after `timeoutMs`. The socket stays open on this side when the other one ends
   * (`allowHalfOpen`).
   */
  async connect(address: InnerAddress, options: ConnectOptions = {}): Promise<Socket> {
    const { timeoutMs = TIMEOUT_MS, signal } = options
    const { fd } = await this.#request({ kind: 'connection', address, timeoutMs, signal })
    return new Socket({ fd, readable: true, writable: true, allowHalfOpen: true })
  }

  /**
   * Have a port of the host lead to one inside: each connection is accepted by this process and
   * copied to one made inside. Ends with the container, with this process, or by `close`.
   */
  async publish(port: number, options: PublishOptions = {}): Promise<Publication> {
    this.#checkAskedFor()
    const { openPublication } = await import('./publication.ts')
    return this.#track(await openPublication(this, port, options))
  }

  /** The reverse: have a port inside lead to one that this process can reach, and to nothing else. */
  async hostAccess(hostPort: number, options: HostAccessOptions = {}): Promise<HostAccess> {
    const { openHostAccess } = await import('./host-access.ts')
    return openHostAccess(this, hostPort, options)
  }

  /** @internal A descriptor has come. */
  take(event: DescriptorEvent): void {
    const { kind, id, port, fd } = event
    const address = this.#spec?.listen?.[id]
    if (kind === DESCRIPTOR_KINDS.answer) this.#requests.answer(event)
    else if (kind !== DESCRIPTOR_KINDS.listener || address === undefined) drop(event)
    else if (fd === undefined) throw noListener(event.errno, id)
    else this.#listeners[id] = new InnerListener(fd, address.host ?? LOOPBACK, port)
  }

  /** @internal The container has ended. */
  close(): void {
    this.#ended = true
    this.#requests.end()
    for (const open of [...this.#listeners, ...this.#open]) open?.end()
  }

  // What is open ends with the container.
  #track<T extends Closable>(open: T): T {
    if (this.#ended) {
      open.end()
      throw hasEnded()
    }
    this.#open.add(open)
    open.onceClosed(() => this.#open.delete(open))
    return open
  }

  #checkAskedFor(): void {
    if (this.#spec === undefined) throw notAskedFor()
  }

  #request(request: SocketRequest): Promise<InnerSocket> {
    this.#checkAskedFor()
    checkAddress(request.address)
    return this.#requests.open(request)
  }
}

interface Closable {
  end(): void
  onceClosed(closed: () => void): void
}

function notAskedFor(): PolicyError {
  const facts = { pointer: '/network', hint: 'launch with network: {}' }
  const message = 'the container’s network is not in this process’s hands'
  return new PolicyError(message, facts, 'ERR_NS_SPEC')
}

function checkAddress({ host, port }: InnerAddress): void {
  if (host !== undefined && !isAddress(host)) {
    throw new TypeError(`expected an IP address but received ${JSON.stringify(host)}`)
  }
  if (!Number.isInteger(port) || port < 0 || port > 0xffff) {
    throw new RangeError(`expected a port from 0 to 65535 but received ${port}`)
  }
}

function noListener(errno: number, index: number): SetupError {
  const { text } = describeErrno(errno)
  const facts = { step: 'net.listen', index, errno, syscall: 'recvmsg' }
  return new SetupError(`cannot take over a socket that listens inside: ${text}`, facts)
}

// Nobody wants this descriptor.
function drop({ fd }: DescriptorEvent): void {
  if (fd !== undefined) closeSync(fd)
}
