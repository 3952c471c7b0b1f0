import { FIXED_HELPER, PROFILE_PATH } from './app-armor.ts'
import { findHelper } from './binding.ts'

/** Where the script puts things; for tests. */
export interface SetupPlaces {
  /** The file that is installed. */
  source?: string
  /** Where the helper goes. */
  helper?: string
  /** Where its AppArmor profile goes. */
  profile?: string
}

/** Which script. */
export interface SetupScriptOptions extends SetupPlaces {
  /** The one that takes it all away again. */
  uninstall?: boolean
}

/**
 * A shell script that root runs, with `sh -e`, where AppArmor gives user namespaces by path: it
 * puts the helper where only root can change it, and loads a profile for it that allows them. It
 * may be run again, and must be after an update of this package.
 */
export function setupScript(options: SetupScriptOptions = {}): string {
  const { helper = FIXED_HELPER, profile = PROFILE_PATH, uninstall = false } = options
  const places = { source: options.source ?? findHelper(), helper, profile }
  return `${(uninstall ? remove(places) : install(places)).join('\n')}\n`
}

/** What the profile says: nothing is denied that was not before, and user namespaces are allowed. */
export function appArmorProfile(helper = FIXED_HELPER): string {
  return [
    '# Lets the helper of Cromwell use user namespaces; it makes containers for plain users.',
    'abi <abi/4.0>,',
    'include <tunables/global>',
    '',
    `profile cromwell-init ${helper} flags=(unconfined) {`,
    '  userns,',
    '',
    '  include if exists <local/cromwell-init>',
    '}',
  ].join('\n')
}

// One rename, so that nobody ever starts half a file; the old one lives on where it runs.
function install({ source, helper, profile }: Required<SetupPlaces>): string[] {
  const [directory, made] = [quote(parent(helper)), quote(`${helper}.new`)]
  return [
    'umask 022',
    `install -d -o root -g root -m 755 ${directory}`,
    `install -o root -g root -m 755 ${quote(source)} ${made}`,
    `mv -f ${made} ${quote(helper)}`,
    `cat >${quote(profile)} <<'END'`,
    appArmorProfile(helper),
    'END',
    `chmod 644 ${quote(profile)}`,
    `apparmor_parser --replace ${quote(profile)}`,
  ]
}

function remove({ helper, profile }: Required<SetupPlaces>): string[] {
  const [file, directory] = [quote(profile), quote(parent(helper))]
  return [
    `if [ -e ${file} ]; then apparmor_parser --remove ${file} || true; fi`,
    `rm -f ${file} ${quote(helper)}`,
    `if [ -d ${directory} ]; then rmdir --ignore-fail-on-non-empty ${directory}; fi`,
  ]
}

function parent(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

function quote(word: string): string {
  return /^[\w/.@%+=:,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
