export { type HostFile, hostPrograms } from './host-programs.ts'
export { canCreateUserNamespace, requires, requiresProgram, which } from './requires.ts'
export { type RunOptions, type RunResult, run } from './run.ts'
