import { closeSync } from 'node:fs'
import { describeErrno } from '../errno.ts'
import { SetupError } from '../errors.ts'
import type { InnerAddress } from '../launch-spec.ts'
import { DESCRIPTOR_KINDS, type DescriptorEvent } from '../records.ts'
import { LOOPBACK } from './endpoint.ts'
import { InnerListener } from './inner-listener.ts'

/** The container's network, as far as `network` of its spec put it into this process's hands. */
export class ContainerNetwork {
  /** The sockets of `network.listen`, in that order. */
  readonly listeners: readonly InnerListener[]
  readonly #listeners: InnerListener[] = []
  readonly #addresses: readonly InnerAddress[]

  /** @internal */
  constructor(addresses: readonly InnerAddress[]) {
    this.#addresses = addresses
    this.listeners = this.#listeners
  }

  /** @internal A descriptor has come. */
  take(event: DescriptorEvent): void {
    const { kind, id, port, fd } = event
    const address = this.#addresses[id]
    if (kind !== DESCRIPTOR_KINDS.listener || address === undefined) dropDescriptor(event)
    else if (fd === undefined) throw noListener(event.errno, id)
    else this.#listeners[id] = new InnerListener(fd, address.host ?? LOOPBACK, port)
  }

  /** @internal The container has ended. */
  close(): void {
    for (const listener of this.#listeners) listener?.close()
  }
}

function noListener(errno: number, index: number): SetupError {
  const { text } = describeErrno(errno)
  const facts = { step: 'net.listen', index, errno, syscall: 'recvmsg' }
  const message = `cannot take over a socket that listens inside: ${text}`
  return new SetupError(message, facts)
}

// Nobody wants this descriptor.
function dropDescriptor({ fd }: DescriptorEvent): void {
  if (fd !== undefined) closeSync(fd)
}
