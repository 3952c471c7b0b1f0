export { type AppArmor, appArmor, FIXED_HELPER } from './app-armor.ts'
export { type AttachTarget, attach, readExitFile } from './attach.ts'
export { Cgroup, type CgroupSupport, cgroup } from './cgroup/cgroup.ts'
export type { Controller } from './cgroup/place.ts'
export {
  type CgroupStats,
  parseCgroupStats,
  parseFlatKeyed,
  parseNestedKeyed,
  type StatFiles,
} from './cgroup/stats.ts'
export { ContainedProcess, type ExitStatus } from './contained-process.ts'
export {
  CAPABILITIES,
  type CapabilityName,
  DEFAULT_CAPABILITIES,
  DEFAULT_MASKED_PATHS,
  DEFAULT_READONLY_PATHS,
} from './defaults.ts'
export {
  ExecError,
  NAMESPACE_ERROR_CODES,
  NamespaceError,
  type NamespaceErrorCode,
  type NamespaceErrorFacts,
  PolicyError,
  SetupError,
  UnsupportedError,
} from './errors.ts'
export type { Facility, FacilityName } from './facility.ts'
export type { StdioTarget } from './helper.ts'
export { checkHost, type HostCheckOptions } from './host-check.ts'
export type { HostIdMappingFacts } from './host-files.ts'
export { HOST_ETC, type HostSystemOptions, hostSystemMounts } from './host-system.ts'
export { type IdMappingFacts, idmap, type SelectedIdMapping } from './id-mapping.ts'
export { type JoinSpec, type JoinTarget, join } from './join.ts'
export { type LandlockSupport, landlock } from './landlock.ts'
export type {
  LandlockAccess,
  LandlockFsRight,
  LandlockNetRight,
  LandlockPath,
  LandlockRight,
  LandlockScope,
  LandlockSpec,
} from './landlock-rights.ts'
export { type LaunchOptions, launch } from './launch.ts'
export type {
  DirectoryRoot,
  IdMapping,
  IdMappingPlan,
  InnerAddress,
  IoPriority,
  LaunchSpec,
  MonitorSpec,
  Mount,
  MountFlags,
  NamespaceType,
  NetworkSpec,
  OverlaySpec,
  ProcessSpec,
  Rlimit,
  RootSpec,
  TimeOffset,
  TmpfsRoot,
  UplinkSpec,
} from './launch-spec.ts'
export type {
  CgroupSpec,
  EffectiveLimit,
  EffectiveLimits,
  Enforcer,
  ExitReason,
  IoLimit,
  LimitName,
  Limits,
} from './limits.ts'
export { defaultMaskedPaths } from './masked-paths.ts'
export { type NativeFs, nativeFs } from './native-fs.ts'
export type { ConnectOptions, ContainerNetwork } from './network/container-network.ts'
export { createProxy } from './network/create-proxy.ts'
export type { NetworkViolation, ProxyOptions } from './network/gatekeeper.ts'
export type { HostAccess, HostAccessOptions } from './network/host-access.ts'
export type { HostAndPort } from './network/host-name.ts'
export type { InnerListener } from './network/inner-listener.ts'
export type { NetworkProxy } from './network/proxy.ts'
export { PROXY_PORT, proxyEnvironment } from './network/proxy-environment.ts'
export type {
  ProxyDecision,
  ProxyPolicyOptions,
  ProxyRequest,
  Refusal,
} from './network/proxy-policy.ts'
export type { Publication, PublishOptions } from './network/publication.ts'
export { InnerSocketError } from './network/socket-error.ts'
export type { HostTraffic } from './network/traffic.ts'
export { uplinkNameserver } from './network/uplink.ts'
export type { Applied } from './overlay-changes/apply-changes.ts'
export type { FileKind, OverlayChange } from './overlay-changes/change.ts'
export {
  applyChanges,
  discardChanges,
  type OverlayChangesOptions,
  overlayChanges,
} from './overlay-changes/overlay-changes.ts'
export { type PidFd, type PidFdWaitOptions, pidfd } from './pidfd.ts'
export { type PlannedStep, plan } from './plan/plan.ts'
export { type HostReport, type ProbeOptions, probe } from './probe/probe.ts'
export type { RlimitType } from './rlimit-types.ts'
export { explain } from './sandbox/explain.ts'
export type { SandboxChange } from './sandbox/overlays.ts'
export type {
  Degradable,
  EnvPolicy,
  FilePolicy,
  LimitPolicy,
  NetPolicy,
  PathLike,
  Policy,
  PresetName,
} from './sandbox/policy.ts'
export { presets } from './sandbox/presets.ts'
export type { Duration, Size } from './sandbox/quantities.ts'
export { type RunOptions, Sandbox, type SandboxSpawnOptions, sandbox } from './sandbox/sandbox.ts'
export {
  type CompiledSeccomp,
  type CompileSeccompOptions,
  compileSeccomp,
  type SeccompExplanation,
} from './seccomp/compile.ts'
export { defaultSeccomp } from './seccomp/default-filter.ts'
export { type DefaultSeccompOptions, defaultSeccompProfile } from './seccomp/default-profile.ts'
export { interpretSeccomp, type SeccompCall, type SeccompVerdict } from './seccomp/interpret.ts'
export type {
  SeccompAction,
  SeccompArch,
  SeccompArg,
  SeccompCondition,
  SeccompOperator,
  SeccompProfile,
  SeccompRule,
} from './seccomp/profile.ts'
export type { SyscallAnswer, SyscallHandler, SyscallRequest } from './seccomp/syscall-handler.ts'
export { isSensitiveSocket, sensitiveSocketsBelow } from './sensitive-sockets.ts'
export { type SetupScriptOptions, setupScript } from './setup-script.ts'
export { AbortError } from './spawn/abort-error.ts'
export type { EffectiveMount, EffectivePolicy } from './spawn/effective-policy.ts'
export type { RunResult } from './spawn/run-result.ts'
export {
  type ExecOptions,
  type PipedSandboxProcess,
  SandboxProcess,
  type SandboxProcessEvents,
} from './spawn/sandbox-process.ts'
export { spawn } from './spawn/spawn.ts'
export type { ChildOptions, SpawnOptions } from './spawn/spawn-options.ts'
export type { StdioOptions, StdioWord } from './spawn/stdio.ts'
export { type MappedProcess, type SpawnMappedOptions, spawnMapped } from './spawn-mapped.ts'
export { STEPS, type Step } from './steps.ts'
export { type TerminalState, terminal } from './terminal.ts'
export type { Usage, UsageFigure, UsageSource } from './usage.ts'
