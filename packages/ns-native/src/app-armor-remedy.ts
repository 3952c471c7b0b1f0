import { type AppArmor, appArmor, FIXED_HELPER, fixedHelper, PROFILE_PATH } from './app-armor.ts'
import { findHelper } from './binding.ts'

/** What to do when AppArmor keeps user namespaces from this process; undefined where it does not. */
export function appArmorRemedy(
  { restricts, confinedBy }: AppArmor = appArmor(),
): string | undefined {
  if (confinedBy !== undefined) {
    return (
      `AppArmor confines this process by the profile ${confinedBy}: run it outside of that, or let it ` +
      `start the helper under one of its own, by the rule ${FIXED_HELPER} Px; ${SETUP} puts that there`
    )
  }
  if (!restricts || process.geteuid?.() === 0) return undefined
  switch (fixedHelper(findHelper())) {
    case 'missing':
      return (
        `AppArmor restricts user namespaces here: ${SETUP} allows them to the helper alone; ` +
        'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, as root, to every program'
      )
    case 'other':
      return `${FIXED_HELPER} is of another version, or not root’s alone: ${SETUP} puts the right one there`
    case 'ready':
      return `the AppArmor profile of ${FIXED_HELPER} is not loaded: as root, apparmor_parser -r ${PROFILE_PATH}`
  }
}

const SETUP = '`cromwell setup` as root (or the script of setupScript())'
