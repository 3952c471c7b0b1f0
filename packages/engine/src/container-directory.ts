import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { OverlaySpec } from '@cromwell/ns-native'
import { writeEtcFiles } from './etc-files.ts'
import { type ContainerPlan, toBundle } from './plan-container.ts'
import type { RootSource } from './root-source.ts'

/**
 * Fill a container's directory: `rootfs` (the root, or where it gets mounted), `etc`, config.json.
 * None of it needs to outlast a power failure; the state file that makes it a container does.
 */
export function writeContainerDirectory(
  directory: string,
  plan: ContainerPlan,
  source: RootSource,
): void {
  makeDirectory(join(directory, 'rootfs'), 0o755)
  const etcFiles = writeEtcFiles(join(directory, 'etc'), {
    hostname: plan.hostname,
    network: plan.network,
    containerenv: {
      engine: 'cromwell',
      id: plan.id,
      image: source.name,
      rootless: plan.bundle.idMapping.kind === 'identity' ? '0' : '1',
    },
  })
  const config = JSON.stringify(toBundle(plan, etcFiles), undefined, 2)
  writeFileSync(join(directory, 'config.json'), `${config}\n`, { mode: 0o600 })
}

/** Make the directories of an overlay over `source` whose changes stay in the container's directory. */
export function makeOverlay(
  directory: string,
  { lowerDirs }: RootSource,
  options: { volatile: boolean },
): OverlaySpec {
  const upperDir = join(directory, 'upper')
  const workDir = join(directory, 'work')
  // The root of an overlay looks as its upper directory does.
  const top = lowerDirs.at(-1)
  makeDirectory(upperDir, top === undefined ? 0o755 : statSync(top).mode & 0o7777)
  makeDirectory(workDir, 0o700)
  return { lowerDirs, upperDir, workDir, volatile: options.volatile }
}

function makeDirectory(path: string, mode: number): void {
  mkdirSync(path)
  chmodSync(path, mode) // whatever the umask
}
