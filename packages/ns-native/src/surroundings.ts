import { homedir, tmpdir } from 'node:os'

/**
 * What `spawn`, `sandbox` and `probe` know of the process that calls them: like `child_process`,
 * they are for programs, and a relative path, `~` and `env.pass` mean the caller's. The one place
 * of this package that looks; all below is given what it needs. See docs/decisions/0019.
 */
export interface Surroundings {
  /** What relative paths are relative to. Absolute. */
  cwd: string
  /** What `~` stands for. Absolute. */
  home: string
  /** Where what lives as long as a sandbox is kept. Absolute. */
  temporary: string
  /** Where `env.pass` takes values from. */
  env: Readonly<Record<string, string | undefined>>
  /** Of Node, so that `node` means the same inside. */
  execPath: string
}

/** The caller's, now. */
export function surroundings(): Surroundings {
  return {
    cwd: process.cwd(),
    home: homedir(),
    temporary: tmpdir(),
    env: process.env,
    execPath: process.execPath,
  }
}
