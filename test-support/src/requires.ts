import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'

/** The part of vitest's test context that a skip needs. */
interface Skippable {
  skip(note?: string): never
}

/**
 * Skip the calling test, with a reason, where the host lacks something; fail it instead where the
 * environment variable `CROMWELL_TEST_REQUIRE` says that it was installed for: comma-separated names,
 * `all` for every name, `-name` for all but that one.
 */
export function requires(context: Skippable, name: string, present: boolean, why: string): void {
  if (present) return
  const required = (process.env['CROMWELL_TEST_REQUIRE'] ?? '').split(',')
  if (required.includes(name) || (required.includes('all') && !required.includes(`-${name}`))) {
    throw new Error(`this host was set up for ${name}, but ${why}`)
  }
  context.skip(`needs ${name}: ${why}`)
}

/** Like {@link requires}, for a program on PATH. Returns its path. */
export function requiresProgram(context: Skippable, program: string): string {
  const path = which(program)
  requires(context, program, path !== undefined, `${program} is not on PATH`)
  return path ?? program
}

/** The absolute path of a program on PATH, or undefined. */
export function which(program: string): string | undefined {
  for (const directory of [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin']) {
    const candidate = `${directory}/${program}`
    try {
      accessSync(candidate, constants.X_OK)
      return candidate
    } catch {
      // not in this directory
    }
  }
  return undefined
}

/** Whether this process may create a user namespace at all. */
export function canCreateUserNamespace(): boolean {
  return spawnSync('unshare', ['-Ur', 'true']).status === 0
}
