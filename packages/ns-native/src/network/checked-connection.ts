import { connect, type LookupFunction, type Socket } from 'node:net'
import { unmapped } from './address-set.ts'
import type { Verdict } from './proxy-policy.ts'

/**
 * Connect to one of the addresses that the policy has seen, and to no other: the name is not
 * resolved again. Rejects with the error of `net.connect`, or when the signal says so.
 */
export function connectChecked(
  { addresses, port }: Extract<Verdict, { allowed: true }>,
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const socket = connect({
      host: 'checked.invalid',
      port,
      lookup: answering(addresses),
      autoSelectFamily: true,
      allowHalfOpen: true,
    })
    const giveUp = () => {
      reject(signal.reason)
      socket.destroy()
    }
    // Not the option of that name, which would end the socket later, too.
    signal.addEventListener('abort', giveUp, { once: true })
    socket.once('error', reject)
    socket.once('close', () => signal.removeEventListener('abort', giveUp))
    socket.once('connect', () => {
      signal.removeEventListener('abort', giveUp)
      if (addresses.includes(unmapped(socket.remoteAddress ?? '::'))) resolve(socket)
      else socket.destroy(new Error(`connected to ${socket.remoteAddress}, which nobody allowed`))
    })
  })
}

function answering(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
  return (_host, options, callback) => {
    const [first = { address: '', family: 4 }] = found
    if (options.all) callback(null, found)
    else callback(null, first.address, first.family)
  }
}
