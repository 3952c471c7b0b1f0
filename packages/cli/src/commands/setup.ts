import { spawnSync } from 'node:child_process'
import { Option } from 'clipanion'
import { CliCommand } from '../command.ts'
import { CliError } from '../errors.ts'

/** `cromwell setup`: what only root can do so that plain users can have containers. */
export class SetupCommand extends CliCommand {
  static override readonly paths = [['setup']]
  static override readonly usage = CliCommand.Usage({
    description: 'Prepare this machine where AppArmor restricts user namespaces',
    details: `
      Most machines need nothing. Where AppArmor restricts user namespaces (Ubuntu 23.10 and later),
      root puts the helper where only root can change it, and loads an AppArmor profile that gives user
      namespaces to that file. Run it again after an update. A plain user is told what works, and
      what to run as root.
    `,
    examples: [
      ['What would root do?', '$0 setup --print'],
      ['Take it all away again, as root', '$0 setup --uninstall'],
    ],
  })

  print = Option.Boolean('--print', false, {
    description: 'Only print the shell script that root would run',
  })
  uninstall = Option.Boolean('--uninstall', false, { description: 'Remove what was installed' })

  async execute(): Promise<number> {
    const { setupScript } = await import('@cromwell/ns-native')
    const script = setupScript({ uninstall: this.uninstall })
    const { isRoot } = this.context.environment
    if (this.print) this.context.out.write(script)
    else if (!isRoot && !this.uninstall) await this.#tellUser()
    else if (!isRoot) throw this.#onlyRoot('only root can remove what root has installed')
    else await this.#runAsRoot(script)
    return 0
  }

  /** Whether containers work for this user, found out by trying. */
  async #tellUser(): Promise<void> {
    const { appArmor, probe } = await import('@cromwell/ns-native')
    const { ok, facilities } = await probe()
    if (!ok) {
      const { restricts, confinedBy } = appArmor()
      if (restricts && confinedBy === undefined) {
        throw this.#onlyRoot(
          'AppArmor restricts user namespaces here, and only root can set that up',
        )
      }
      const needed = ['linux', 'helper', 'user-namespaces', 'proc'] as const
      const broken = needed.map((name) => facilities[name]).find((one) => one?.ok === false)
      const { why = 'nothing says why', fix } = broken ?? {}
      throw new CliError(
        'ERR_CLI_SETUP',
        `no container can be made here: ${why}`,
        fix === undefined ? {} : { hint: fix },
      )
    }
    const ids = facilities['id-mapping']
    const { out } = this.context
    out.write('Containers work here: there is nothing to set up.\n')
    if (ids !== undefined && !ids.ok) out.write(`They have one user id each: ${ids.why}\n`)
  }

  async #runAsRoot(script: string): Promise<void> {
    const { appArmor, FIXED_HELPER } = await import('@cromwell/ns-native')
    const { out } = this.context
    const { mediates, restricts } = appArmor()
    if (!mediates && !this.uninstall) {
      if (!restricts) {
        out.write('AppArmor does not restrict user namespaces here: there is nothing to set up.\n')
        return
      }
      throw new CliError(
        'ERR_CLI_SETUP',
        'AppArmor runs here, but its profiles are not installed',
        {
          hint: 'apt-get install apparmor',
        },
      )
    }
    const { status, error } = spawnSync('/bin/sh', ['-e'], {
      input: script,
      stdio: ['pipe', 2, 2],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    })
    if (status !== 0) {
      throw new CliError('ERR_CLI_SETUP', `the set-up script failed (status ${status})`, {
        hint: "what failed is said above; 'cromwell setup --print' shows the script",
        cause: error,
      })
    }
    out.write(
      this.uninstall
        ? `Removed ${FIXED_HELPER} and its AppArmor profile.\n`
        : `Installed ${FIXED_HELPER}, and AppArmor lets it use user namespaces.\n`,
    )
  }

  #onlyRoot(message: string): CliError {
    const command = ['setup', ...(this.uninstall ? ['--uninstall'] : [])]
    const shown = [...this.context.environment.self, ...command]
      .map((word) => (/^[\w/.@%+=:,-]+$/.test(word) ? word : `'${word}'`))
      .join(' ')
    return new CliError('ERR_CLI_SETUP', message, {
      hint: `sudo ${shown}   (what that does: cromwell ${command.join(' ')} --print)`,
    })
  }
}
