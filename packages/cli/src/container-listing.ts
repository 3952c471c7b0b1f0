import type { ContainerSummary } from '@cromwell/engine'
import { formatDuration } from './duration.ts'
import { ellipsize, formatTable } from './table.ts'

const HEADER = ['CONTAINER ID', 'IMAGE', 'COMMAND', 'CREATED', 'STATUS', 'PORTS', 'NAMES', 'PID']
const SHORT_ID = 12
const COMMAND_WIDTH = 20

/** Docker's table with the pid as last column; `truncate` shortens ids and commands. */
export function containerTable(
  containers: readonly ContainerSummary[],
  options: { truncate: boolean; now: number },
): string {
  return formatTable(
    HEADER,
    containers.map((container) => [
      options.truncate ? container.id.slice(0, SHORT_ID) : container.id,
      container.image,
      commandCell(container.command, options.truncate),
      `${formatDuration(options.now - container.createdAt.getTime())} ago`,
      statusText(container, options.now),
      '',
      container.name,
      container.pid === undefined ? '' : String(container.pid),
    ]),
  )
}

/** One id a line. */
export function containerIds(
  containers: readonly ContainerSummary[],
  options: { truncate: boolean },
): string {
  const ids = containers.map(({ id }) => (options.truncate ? id.slice(0, SHORT_ID) : id))
  return ids.map((id) => `${id}\n`).join('')
}

/** One array, with the keys of `podman ps --format json`. */
export function containerJson(containers: readonly ContainerSummary[], now: number): string {
  const rows = containers.map((container) => ({
    Id: container.id,
    Names: container.name === '' ? [] : [container.name],
    Image: container.image,
    ImageID: container.imageId ?? '',
    Command: container.command,
    Created: Math.floor(container.createdAt.getTime() / 1000),
    CreatedAt: container.createdAt.toISOString(),
    State: container.state === 'stopped' ? 'exited' : container.state,
    Status: statusText(container, now),
    Exited: container.state === 'stopped',
    ExitCode: container.exitCode ?? 0,
    StartedAt: seconds(container.startedAt),
    ExitedAt: seconds(container.finishedAt),
    Pid: container.pid ?? 0,
    Ports: [],
  }))
  return `${JSON.stringify(rows, null, 2)}\n`
}

/** Docker's STATUS column: `Up 5 minutes`, `Exited (137) 2 hours ago`, `Created`. */
export function statusText(container: ContainerSummary, now: number): string {
  if (container.corrupt !== undefined) return `Unknown (${container.corrupt})`
  switch (container.state) {
    case 'creating':
    case 'created':
      return 'Created'
    case 'running':
      return `Up ${formatDuration(now - (container.startedAt ?? container.createdAt).getTime())}`
    case 'stopped':
      return exitedText(container, now)
  }
}

/** The exit code of a container that a reboot or kill -9 of its monitor ended is not known. */
function exitedText({ exitCode, finishedAt }: ContainerSummary, now: number): string {
  const code = exitCode === undefined ? 'Exited' : `Exited (${exitCode})`
  return finishedAt === undefined
    ? code
    : `${code} ${formatDuration(now - finishedAt.getTime())} ago`
}

function commandCell(command: readonly string[], truncate: boolean): string {
  const text = command.join(' ')
  return `"${truncate ? ellipsize(text, COMMAND_WIDTH) : text}"`
}

function seconds(date: Date | undefined): number {
  return date === undefined ? 0 : Math.floor(date.getTime() / 1000)
}
