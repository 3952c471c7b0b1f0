export { canCreateUserNamespace, requires, requiresProgram, which } from './requires.ts'
