import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createBundle } from './bundle.ts'
import type { ContainerRoot } from './container-root.ts'
import { writeEtcFiles } from './etc-files.ts'
import type { ContainerPlan } from './plan-container.ts'

/**
 * Write what describes a container: its `etc` and config.json. None of it needs to outlast a power
 * failure; the state file that makes it a container does.
 */
export function writeContainerDirectory(
  directory: string,
  plan: ContainerPlan,
  root: ContainerRoot,
): void {
  const etcFiles = writeEtcFiles(join(directory, 'etc'), {
    hostname: plan.hostname,
    network: plan.network,
    containerenv: {
      engine: 'cromwell',
      id: plan.id,
      image: plan.image,
      rootless: plan.bundle.idMapping.kind === 'identity' ? '0' : '1',
    },
  })
  const bundle = createBundle({ ...plan.bundle, etcFiles, rootMounts: root.mounts })
  const config = `${JSON.stringify(bundle, undefined, 2)}\n`
  writeFileSync(join(directory, 'config.json'), config, { mode: 0o600 })
}
