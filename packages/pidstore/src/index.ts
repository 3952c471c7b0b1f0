export type { CorruptEntry, JudgedEntry, PidEntry } from './entry.ts'
export {
  PIDSTORE_ERROR_CODES,
  PidstoreError,
  type PidstoreErrorCode,
  type PidstoreErrorDetails,
} from './errors.ts'
export type { HostOptions } from './host.ts'
export { isRecordId } from './id.ts'
export {
  checkProcess,
  type ProcessIdentity,
  type ProcessVerdict,
  readProcessIdentity,
} from './identity.ts'
export type { PidRecord } from './record.ts'
export { openPidStore, type PidStore, type PidStoreOptions } from './store.ts'
