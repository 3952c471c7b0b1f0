import { chmodSync, existsSync, mkdtempSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { idmap } from '@cromwell/ns-native'
import { createTestRegistry, type TestImage, type TestRegistry } from '@cromwell/registry/testing'
import { createEngine, type Engine } from './engine.ts'
import type { EngineEvent } from './event.ts'
import { type HostFacts, readHostFacts } from './host-facts.ts'
import { createTreeRemover } from './remove-tree.ts'
import type { RunOptions } from './run-options.ts'

/** An engine with a home of its own and a registry to pull from. */
export interface TestEngine {
  engine: Engine
  home: string
  host: HostFacts
  registry: TestRegistry
  events: EngineEvent[]
  /** Serve an image; returns the reference to pull it by. */
  serve(name: string, image: TestImage): string
  /** Run to the end in the foreground, removing the container. */
  run(options: RunOptions): Promise<{ stdout: string; stderr: string; exitCode: number }>
  /** What is left of containers: their directories, pid files and names. */
  leftovers(): string[]
  close(): Promise<void>
}

export async function createTestEngine(): Promise<TestEngine> {
  const home = mkdtempSync(join(tmpdir(), 'cromwell-engine-'))
  chmodSync(home, 0o700)
  const host = readHostFacts({ env: { PATH: '/usr/bin:/bin' }, cwd: home })
  const events: EngineEvent[] = []
  const engine = createEngine({ home, host, onEvent: (event) => events.push(event) })
  const registry = await createTestRegistry()
  return {
    engine,
    home,
    host,
    registry,
    events,
    serve(name, image) {
      registry.addImage(name, image)
      return `${registry.host}/${name}`
    },
    async run(options) {
      const container = await engine.run({ removeOnExit: true, ...options })
      const [stdout, stderr, { exitCode }] = await Promise.all([
        container.stdout === undefined ? '' : text(container.stdout),
        container.stderr === undefined ? '' : text(container.stderr),
        container.wait(),
      ])
      return { stdout, stderr, exitCode }
    },
    leftovers() {
      return ['containers', 'pids', 'names'].flatMap((name) => {
        const directory = join(home, name)
        return existsSync(directory) ? readdirSync(directory).map((file) => `${name}/${file}`) : []
      })
    },
    async close() {
      for (const { id } of await engine.list({ all: true })) {
        await engine.remove(id, { force: true }).catch(() => {})
      }
      await registry.close()
      await createTreeRemover(() => idmap.select(host))(home)
    },
  }
}
