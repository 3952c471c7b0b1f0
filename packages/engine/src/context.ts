import { idmap, type SelectedIdMapping } from '@cromwell/ns-native'
import { openImageLayout } from '@cromwell/registry/layout'
import { openRuntime, type Runtime } from '@cromwell/runtime'
import type { OnEvent } from './event.ts'
import { type Home, homePaths } from './home.ts'
import type { HostFacts } from './host-facts.ts'
import { createTreeRemover } from './remove-tree.ts'

/** What every operation of an engine works with. */
export interface EngineContext {
  home: Home
  host: HostFacts
  onEvent: OnEvent
  runtime: Runtime
  layout: ReturnType<typeof openImageLayout>
  /** How ids are mapped for this user on this host. */
  idMapping: () => SelectedIdMapping
}

/** Put together what an engine works with; touches nothing. */
export function createContext(home: string, host: HostFacts, onEvent: OnEvent): EngineContext {
  const paths = homePaths(home)
  let selected: SelectedIdMapping | undefined
  const idMapping = () => {
    selected ??= idmap.select(host)
    return selected
  }
  const runtime = openRuntime({
    root: paths.containers,
    pidsDir: paths.pids,
    removeTree: createTreeRemover(idMapping),
  })
  const layout = openImageLayout(paths.images)
  return { home: paths, host, onEvent, runtime, layout, idMapping }
}
