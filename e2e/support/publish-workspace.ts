import { readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { run } from '@cromwell/test-support'
import type { NpmRegistry } from './npm-registry.ts'

const root = join(import.meta.dirname, '..', '..')

/**
 * Publish every package of this workspace to a registry, and offer there what they need from npm at run
 * time: afterwards an install needs no other.
 */
export async function publishWorkspace(registry: NpmRegistry, scratch: string): Promise<void> {
  const packages = readdirSync(join(root, 'packages')).map((name) => join(root, 'packages', name))
  for (const directory of packages) await publish(directory, registry.url, scratch)
  for (const directory of foreignDependencies(packages)) registry.offer(directory)
}

/** The directories of all packages from npm that these need at run time, with what those need in turn. */
function foreignDependencies(directories: readonly string[]): Set<string> {
  const found = new Set<string>()
  const visit = (directory: string): void => {
    const { dependencies = {} } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
    for (const name of Object.keys(dependencies)) {
      if (name.startsWith('@cromwell/')) continue
      const dependency = locate(name, directory)
      if (found.has(dependency)) continue
      found.add(dependency)
      visit(dependency)
    }
  }
  for (const directory of directories) visit(directory)
  return found
}

function locate(name: string, from: string): string {
  const require = createRequire(join(realpathSync(from), 'package.json'))
  for (const directory of require.resolve.paths(name) ?? []) {
    try {
      return realpathSync(dirname(join(directory, name, 'package.json')))
    } catch {
      // not in this node_modules
    }
  }
  throw new Error(`${name}, which ${from} needs, is not installed`)
}

/** As a release does it: pnpm replaces `workspace:` and `catalog:` by versions. */
async function publish(directory: string, registryUrl: string, scratch: string): Promise<void> {
  const userConfig = join(scratch, 'npmrc')
  writeFileSync(userConfig, `//${new URL(registryUrl).host}/:_authToken=any\n`)
  const pnpm = join(root, 'node_modules', '.bin', 'pnpm')
  const options = ['--ignore-scripts', '--no-git-checks', '--registry', registryUrl]
  const { status, stdout, stderr } = await run(pnpm, ['publish', ...options], {
    cwd: directory,
    env: {
      ...process.env,
      HOME: scratch,
      npm_config_cache: join(scratch, 'npm-cache'),
      npm_config_userconfig: userConfig,
    },
  })
  if (status !== 0) throw new Error(`cannot publish ${directory}: ${stdout}${stderr}`)
}
