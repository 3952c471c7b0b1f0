import { join } from 'node:path'

/** Where the files of one container are; everything but `directory` is inside it. */
export interface ContainerFiles {
  directory: string
  /** What does not change while the container exists. */
  state: string
  /** Written by the monitor when the container has ended. */
  exit: string
  /** Output, in the CRI log format. */
  log: string
}

/** The files of the container `id`, which must have been checked with assertContainerId. */
export function containerFiles(root: string, id: string): ContainerFiles {
  const directory = join(root, id)
  return {
    directory,
    state: `${directory}/state.json`,
    exit: `${directory}/exit`,
    log: `${directory}/log`,
  }
}
