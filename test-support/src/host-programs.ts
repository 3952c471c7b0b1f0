import { execFileSync } from 'node:child_process'
import { readFileSync, realpathSync } from 'node:fs'
import { which } from './requires.ts'

/** A file of this machine, and where it goes in an image. */
export interface HostFile {
  /** Relative to the image's root. */
  path: string
  content: Buffer
  mode: number
}

/**
 * Some programs of this machine with the shared libraries they load: enough to make an image that runs
 * where nothing can be downloaded. Programs that are not there are left out.
 */
export function hostPrograms(names: readonly string[]): HostFile[] {
  const files = new Map<string, HostFile>()
  for (const name of names) {
    const program = which(name)
    if (program === undefined) continue
    files.set(`bin/${name}`, { path: `bin/${name}`, content: readFileSync(program), mode: 0o755 })
    for (const library of sharedLibraries(program)) {
      const path = library.slice(1)
      files.set(path, { path, content: readFileSync(realpathSync(library)), mode: 0o755 })
    }
  }
  return [...files.values()]
}

/** Absolute paths, the loader included, as the program itself names them; none for a static program. */
function sharedLibraries(program: string): string[] {
  try {
    const output = execFileSync('ldd', [program], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return [...output.matchAll(/(\/\S+) \(0x/g)].flatMap(([, path]) => path ?? [])
  } catch {
    return []
  }
}
