import type { ContainerSummary } from '@cromwell/engine'
import { describe, expect, it } from 'vitest'
import { containerIds, containerJson, containerTable, statusText } from './container-listing.ts'

const now = Date.UTC(2026, 10, 23, 12)
const MINUTE = 60_000
const HOUR = 60 * MINUTE

const running: ContainerSummary = {
  id: '3f1c'.repeat(16),
  name: 'keen_turing',
  image: 'alpine:3.20',
  imageId: 'beef'.repeat(16),
  command: ['sh', '-c', 'while true; do sleep 1; done'],
  createdAt: new Date(now - 5 * MINUTE),
  startedAt: new Date(now - 4 * MINUTE),
  state: 'running',
  pid: 4711,
}
const exited: ContainerSummary = {
  id: '0a0b'.repeat(16),
  name: 'db',
  image: 'localhost:5000/team/db:1',
  command: ['true'],
  createdAt: new Date(now - 3 * HOUR),
  startedAt: new Date(now - 3 * HOUR),
  finishedAt: new Date(now - 2 * HOUR),
  state: 'stopped',
  exitCode: 137,
}

describe('containerTable', () => {
  it('has docker’s columns and the pid', () => {
    expect(containerTable([running, exited], { truncate: true, now })).toBe(
      [
        'CONTAINER ID   IMAGE                      COMMAND                  CREATED         STATUS                     PORTS   NAMES         PID',
        '3f1c3f1c3f1c   alpine:3.20                "sh -c while true; d…"   5 minutes ago   Up 4 minutes                       keen_turing   4711',
        '0a0b0a0b0a0b   localhost:5000/team/db:1   "true"                   3 hours ago     Exited (137) 2 hours ago           db',
        '',
      ].join('\n'),
    )
  })

  it('shows ids and commands in full where asked to', () => {
    const table = containerTable([running], { truncate: false, now })
    expect(table).toContain(running.id)
    expect(table).toContain('"sh -c while true; do sleep 1; done"')
  })
})

describe('statusText', () => {
  it.each([
    [{ state: 'created' }, 'Created'],
    [{ state: 'running', startedAt: new Date(now - 500) }, 'Up Less than a second'],
    [
      { state: 'stopped', exitCode: 0, finishedAt: new Date(now - HOUR) },
      'Exited (0) About an hour ago',
    ],
    [{ state: 'stopped' }, 'Exited'],
    [{ state: 'stopped', corrupt: 'state.json is not JSON' }, 'Unknown (state.json is not JSON)'],
  ] as const)('says of %j: %s', (fields, text) => {
    expect(statusText({ ...running, ...fields }, now)).toBe(text)
  })
})

describe('containerJson', () => {
  it('is one array with podman’s keys, empty when there is nothing', () => {
    expect(JSON.parse(containerJson([], now))).toEqual([])
    expect(JSON.parse(containerJson([running, exited], now))).toMatchObject([
      {
        Id: running.id,
        Names: ['keen_turing'],
        Image: 'alpine:3.20',
        State: 'running',
        Pid: 4711,
        ExitCode: 0,
        Command: running.command,
        Created: (now - 5 * MINUTE) / 1000,
      },
      { State: 'exited', Exited: true, ExitCode: 137, Pid: 0, ExitedAt: (now - 2 * HOUR) / 1000 },
    ])
  })
})

it('lists bare ids, short or whole', () => {
  expect(containerIds([running], { truncate: true })).toBe('3f1c3f1c3f1c\n')
  expect(containerIds([running], { truncate: false })).toBe(`${running.id}\n`)
  expect(containerIds([], { truncate: true })).toBe('')
})
