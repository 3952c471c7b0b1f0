import { loadBinding } from './binding.ts'
import {
  LANDLOCK_FS_RIGHTS,
  LANDLOCK_NET_RIGHTS,
  LANDLOCK_SCOPES,
  type LandlockFsRight,
  type LandlockNetRight,
  type LandlockScope,
} from './landlock-rights.ts'

/** What Landlock can restrict here. */
export interface LandlockSupport {
  /** 0 without Landlock. */
  abi: number
  fs: readonly LandlockFsRight[]
  net: readonly LandlockNetRight[]
  scope: readonly LandlockScope[]
}

/** What this kernel's Landlock can do, landlock(7): asked, not guessed from a version. */
export const landlock = {
  /** The version of its interface; 0 where it is not built in, turned off, or hidden by a filter. */
  abi(): number {
    return Math.max(0, loadBinding().landlockAbi())
  },

  /** The rights of `process.landlock` that can be restricted. */
  supported(): LandlockSupport {
    const abi = landlock.abi()
    const known = <Name extends string>(table: Readonly<Record<Name, { abi: number }>>): Name[] =>
      // the keys of a record of Name
      (Object.keys(table) as Name[]).filter((name) => table[name].abi <= abi)
    return {
      abi,
      fs: known(LANDLOCK_FS_RIGHTS),
      net: known(LANDLOCK_NET_RIGHTS),
      scope: known(LANDLOCK_SCOPES),
    }
  },
}
