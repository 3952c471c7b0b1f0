import { PolicyError } from '../errors.ts'
import type { LaunchSpec, ProcessSpec } from '../launch-spec.ts'
import type { SpawnOptions } from './spawn-options.ts'

type SpecOption = Exclude<keyof LaunchSpec, 'namespaces' | 'idMapping' | 'root' | 'process'>
type ProcessOption = Exclude<
  keyof ProcessSpec,
  'args' | 'env' | 'cwd' | 'uid' | 'gid' | 'seccomp' | 'terminal'
>
type OwnOption = Exclude<keyof SpawnOptions, SpecOption | ProcessOption>

// Records, not lists: whoever adds a field to LaunchSpec or ProcessSpec is told by the compiler to add it here.

/** Options that are fields of the launch spec as they are. */
const SPEC_OPTIONS: Record<SpecOption, true> = {
  hostname: true,
  domainname: true,
  joinNamespaces: true,
  timeOffsets: true,
  maxUserNamespaces: true,
  mounts: true,
  maskedPaths: true,
  readonlyPaths: true,
  monitor: true,
  network: true,
  limits: true,
  cgroup: true,
  allowDegraded: true,
}

/** Options that are fields of its process as they are. */
const PROCESS_OPTIONS: Record<ProcessOption, true> = {
  additionalGids: true,
  umask: true,
  capabilities: true,
  noNewPrivileges: true,
  ambientCapabilities: true,
  rlimits: true,
  oomScoreAdj: true,
  nice: true,
  ioPriority: true,
  affinity: true,
  keyring: true,
  landlock: true,
  apparmorProfile: true,
  selinuxLabel: true,
  rootEmulation: true,
}

const OWN_OPTIONS: Record<OwnOption, true> = {
  namespaces: true,
  idMapping: true,
  root: true,
  seccomp: true,
  nestedNamespaces: true,
  pty: true,
  cwd: true,
  env: true,
  stdio: true,
  signal: true,
  killSignal: true,
  timeout: true,
  onSyscall: true,
  syscallTimeoutMs: true,
  uid: true,
  gid: true,
  detached: true,
  collectBytes: true,
}

/** The options that go into the spec, and into its process, unchanged. */
export function passedOn(options: SpawnOptions): {
  spec: Partial<Pick<LaunchSpec, SpecOption>>
  process: Partial<Pick<ProcessSpec, ProcessOption>>
} {
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  const pick = (names: object) =>
    Object.fromEntries(given.filter(([name]) => Object.hasOwn(names, name)))
  return { spec: pick(SPEC_OPTIONS), process: pick(PROCESS_OPTIONS) }
}

/** Throws PolicyError for an option that does not exist: a misspelt one would protect from nothing. */
export function checkOptionNames(options: SpawnOptions): void {
  const known = { ...SPEC_OPTIONS, ...PROCESS_OPTIONS, ...OWN_OPTIONS }
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(known, name)) continue
    const pointer = `/${name}`
    throw new PolicyError(`${pointer}: there is no such option`, { pointer })
  }
}
