import { getSystemErrorName } from 'node:util'
import type { InnerAddress } from '../launch-spec.ts'
import { addressText, LOOPBACK } from './endpoint.ts'

/** An error of a socket inside, with the properties that `node:net` gives its own. */
export class InnerSocketError extends Error {
  static {
    InnerSocketError.prototype.name = 'InnerSocketError'
  }

  /** `'ECONNREFUSED'`, `'EADDRINUSE'`, … */
  readonly code: string
  readonly errno: number
  readonly syscall: 'connect' | 'listen'
  readonly address: string
  readonly port: number

  constructor(errno: number, syscall: 'connect' | 'listen', address: InnerAddress) {
    const code = getSystemErrorName(-errno)
    super(`${syscall} ${code} ${addressText(address)} inside the container`)
    this.code = code
    this.errno = -errno
    this.syscall = syscall
    this.address = address.host ?? LOOPBACK
    this.port = address.port
  }
}

export function socketError(
  errno: number,
  kind: 'listener' | 'connection',
  address: InnerAddress,
): InnerSocketError {
  return new InnerSocketError(errno, kind === 'listener' ? 'listen' : 'connect', address)
}
