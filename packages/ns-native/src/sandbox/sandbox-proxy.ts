import type { ContainedProcess } from '../contained-process.ts'
import { SetupError } from '../errors.ts'
import { createProxy } from '../network/create-proxy.ts'
import type { NetworkProxy } from '../network/proxy.ts'
import type { SandboxProcess } from '../spawn/sandbox-process.ts'
import type { NetPolicy } from './policy.ts'

/** The way out of one sandbox: each program has a proxy of its own, so that refusals are known to be its. */
export interface SandboxProxy {
  serve(program: ContainedProcess, child: SandboxProcess): Promise<void>
  /** The program has ended. */
  leave(child: SandboxProcess): void
  close(): Promise<void>
}

/** Throws PolicyError for a pattern that makes no sense. */
export async function openProxy(
  net: Extract<NetPolicy, { mode: 'proxied' }>,
): Promise<SandboxProxy> {
  const { mode: _, ...options } = net
  const proxies = new Map<SandboxProcess, NetworkProxy>()
  // only to have it checked
  await (await createProxy(options)).close()
  return {
    async serve({ network }, child) {
      const [listener] = network.listeners
      if (listener === undefined) throw noListener()
      const proxy = await createProxy({
        ...options,
        onViolation: (violation) => child.tellViolation(violation),
      })
      proxies.set(child, proxy)
      await proxy.serve(listener)
    },
    leave(child) {
      void proxies.get(child)?.close()
      proxies.delete(child)
    },
    async close() {
      await Promise.all([...proxies.values()].map((proxy) => proxy.close()))
    },
  }
}

function noListener(): SetupError {
  return new SetupError('the proxy has no socket inside', { step: 'net.listen' })
}
