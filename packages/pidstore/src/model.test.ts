import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { NOBODY, SimulatedHost } from './simulated-host.test.fixture.ts'
import { openPidStore, type PidStore } from './store.ts'

let directory: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pidstore-model-'))
})

afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

interface Real {
  host: SimulatedHost
  store: PidStore
}

/** What should be: which start of which pid each id stands for, and which start each pid has now. */
interface Model {
  time: number
  boot: number
  alive: Map<number, { start: number; zombie: boolean }>
  records: Map<string, { pid: number; start: number; boot: number }>
}

function stateOf(model: Model, id: string): 'running' | 'exited' | undefined {
  const record = model.records.get(id)
  if (record === undefined) return undefined
  const now = model.alive.get(record.pid)
  const same = record.boot === model.boot && now?.start === record.start && !now.zombie
  return same ? 'running' : 'exited'
}

type Command = fc.AsyncCommand<Model, Real>

function command(
  name: string,
  run: (model: Model, real: Real) => Promise<void>,
  check: (model: Model) => boolean = () => true,
): Command {
  return {
    check,
    toString: () => name,
    async run(model, real) {
      await run(model, real)
      const expected = [...model.records.keys()].sort().map((id) => [id, stateOf(model, id)])
      expect((await real.store.list()).map(({ id, state }) => [id, state])).toEqual(expected)
    },
  }
}

const id = fc.constantFrom('a', 'b', 'c')
const pid = fc.constantFrom(NOBODY, NOBODY - 1, NOBODY - 2)

const commands = [
  pid.map((pid) =>
    command(`start ${pid}`, async (model, { host }) => {
      // Over a live one this is a recycled pid.
      const start = ++model.time
      host.start(pid, { startTime: start })
      model.alive.set(pid, { start, zombie: false })
    }),
  ),
  pid.map((pid) =>
    command(
      `zombie ${pid}`,
      async (model, { host }) => {
        const start = model.alive.get(pid)?.start ?? 0
        host.start(pid, { startTime: start, state: 'Z' })
        model.alive.set(pid, { start, zombie: true })
      },
      (model) => model.alive.has(pid),
    ),
  ),
  pid.map((pid) =>
    command(
      `reap ${pid}`,
      async (model, { host }) => {
        host.end(pid)
        model.alive.delete(pid)
      },
      (model) => model.alive.has(pid),
    ),
  ),
  fc.tuple(id, pid).map(([id, pid]) =>
    command(`create ${id} ${pid}`, async (model, { store }) => {
      const process = model.alive.get(pid)
      const outcome = await store.create(id, { pid }).then(
        () => 'created',
        (error) => error.code,
      )
      if (process === undefined) expect(outcome).toBe('ERR_PIDSTORE_NO_PROCESS')
      else if (stateOf(model, id) === 'running') expect(outcome).toBe('ERR_PIDSTORE_EXISTS')
      else {
        expect(outcome).toBe('created')
        model.records.set(id, { pid, start: process.start, boot: model.boot })
      }
    }),
  ),
  id.map((id) =>
    command(`remove ${id}`, async (model, { store }) => {
      await store.remove(id)
      model.records.delete(id)
    }),
  ),
  id.map((id) =>
    command(`kill ${id}`, async (model, { store }) => {
      const state = stateOf(model, id)
      expect(await store.signal(id, 'SIGKILL')).toBe(state === 'running')
      const record = model.records.get(id)
      if (state === 'running' && record !== undefined) model.alive.delete(record.pid)
    }),
  ),
  fc.constant(
    command('sweep', async (model, { store }) => {
      const dead = [...model.records.keys()].filter((id) => stateOf(model, id) === 'exited').sort()
      expect(await store.sweep()).toEqual(dead)
      for (const id of dead) model.records.delete(id)
    }),
  ),
  fc.constant(
    command('reboot', async (model, real) => {
      model.boot++
      // Start times begin anew, so that only the boot id tells them apart.
      model.time = 0
      for (const pid of model.alive.keys()) real.host.end(pid)
      model.alive.clear()
      real.host.set({ bootId: `boot-${model.boot}` })
      real.store = open(real.host)
    }),
  ),
]

function open(host: SimulatedHost): PidStore {
  return openPidStore(directory, { ...host.options, kill: (pid) => host.end(pid) })
}

describe('a store', () => {
  it('property: tells the truth after any sequence of starts, deaths, reboots, creates, removes and kills', async () => {
    await fc.assert(
      fc.asyncProperty(fc.commands(commands, { maxCommands: 30 }), async (sequence) => {
        rmSync(directory, { recursive: true, force: true })
        using host = new SimulatedHost({ bootId: 'boot-0' })
        await fc.asyncModelRun(
          () => ({
            model: { time: 0, boot: 0, alive: new Map(), records: new Map() },
            real: { host, store: open(host) },
          }),
          sequence,
        )
      }),
      { numRuns: 60 },
    )
  })
})
