import { connect } from 'node:net'
import type { ContainedProcess } from '../contained-process.ts'
import { type Changes, containerSpec } from '../container.test.fixture.ts'
import { launch } from '../launch.ts'
import type { Mount } from '../launch-spec.ts'

/** This Node inside, wherever the machine has it. */
export const nodeMount: Mount = {
  type: 'bind',
  source: process.execPath,
  destination: '/opt/node',
  readonly: true,
}

/** A perl program as arguments: every Debian has perl-base. */
export const perl = (source: string) => [
  '/usr/bin/perl',
  '-MIO::Socket::INET',
  '-e',
  `$| = 1; sub say { print @_, "\\n" } ${source}`,
]

/** Launch with the network in this process's hands. */
export function launchNetworked(args: readonly string[], changes: Changes = {}) {
  const spec = containerSpec(args, { network: {}, ...changes })
  return launch(spec, { stdio: ['pipe', 'pipe', 2] })
}

/** Wait until the program has said its first line. */
export async function firstLine(box: ContainedProcess): Promise<string> {
  let text = ''
  for await (const chunk of box.stdout?.iterator({ destroyOnReturn: false }) ?? []) {
    text += chunk
    if (text.includes('\n')) break
  }
  return text.split('\n')[0] ?? ''
}

/** What a server answers to bytes, after which this side has ended; rejects when it is cut off. */
export function exchange(
  port: number,
  bytes: string | Buffer,
  host = '127.0.0.1',
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true })
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('error', reject)
    socket.on('end', () => resolve(Buffer.concat(chunks).toString()))
    socket.end(bytes)
  })
}
