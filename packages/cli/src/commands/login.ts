import { Option } from 'clipanion'
import { CliCommand } from '../command.ts'
import { reportWarning } from '../error-report.ts'
import { usageError } from '../errors.ts'
import { openEngine } from '../open-engine.ts'
import { ask, readPassword } from '../prompt.ts'
import { interruptibly } from '../signals.ts'

/** `cromwell login`: check credentials, and keep them where docker and podman do. */
export class LoginCommand extends CliCommand {
  static override readonly paths = [['login']]
  static override readonly operands = '[SERVER]'
  static override readonly operandCount = [0, 1] as const
  static override readonly usage = CliCommand.Usage({
    description: 'Log in to a registry, by default to Docker Hub',
    examples: [
      ['With a user name and a password that are asked for', '$0 login registry.example.com'],
      ['In a script', '$0 login -u ci --password-stdin registry.example.com < token'],
    ],
  })

  username = Option.String('-u,--username', { description: 'Log in as `USER`' })
  password = Option.String('-p,--password', {
    description: 'Log in with `PASSWORD`, which other users of this machine can see',
  })
  passwordStdin = Option.Boolean('--password-stdin', false, {
    description: 'Read the password from standard input',
  })

  async execute(): Promise<number> {
    const [server = 'docker.io'] = this.operands
    this.#checkOptions()
    const engine = await openEngine(this.context.environment, (event) => {
      if (event.type === 'warning') this.#warn(event)
    })
    const isGiven = this.username !== undefined || this.password !== undefined
    if (
      !isGiven &&
      (await this.#useStored(() =>
        interruptibly((signal) => engine.checkLogin(server, { signal })),
      ))
    ) {
      return 0
    }
    const { out } = this.context
    const username = this.username ?? ask(out, 'Username: ')
    if (username === '') throw usageError('a user name is needed')
    const password = this.passwordStdin
      ? readPassword()
      : (this.password ?? ask(out, 'Password: ', { hidden: true }))
    if (password === '') throw usageError('a password is needed')
    const login = await interruptibly((signal) =>
      engine.login(server, { username, password, signal }),
    )
    if (login.helper === undefined && login.stored === 'password') {
      this.#warn({
        message: `the password is stored unencrypted in ${login.file}`,
        hint: 'with a credential helper ("credsStore" in that file) it would not be',
      })
    }
    if (!login.verified) {
      this.#warn({ message: `${login.registry} lets everybody in: the password was not checked` })
    }
    out.write('Login Succeeded\n')
    return 0
  }

  #checkOptions(): void {
    if (this.password !== undefined) {
      if (this.passwordStdin) {
        throw usageError('--password and --password-stdin do not go together')
      }
      this.#warn({
        message: 'a password on the command line can be seen by every user of this machine',
        hint: 'use --password-stdin',
      })
    }
    if (this.passwordStdin && this.username === undefined) {
      throw usageError(
        '--password-stdin needs --username',
        'standard input holds the password alone',
      )
    }
  }

  /** As docker does, see first whether what is stored will do. */
  async #useStored(check: () => Promise<{ username?: string } | undefined>): Promise<boolean> {
    const { out } = this.context
    try {
      const login = await check()
      if (login === undefined) return false
      const { username } = login
      out.write(
        `Authenticating with existing credentials...${username ? ` [Username: ${username}]` : ''}\n`,
      )
      out.write('Login Succeeded\n')
      return true
    } catch (error) {
      if (!isRefusal(error)) throw error
      this.#warn({ message: 'the stored credentials are refused' })
      return false
    }
  }

  #warn(warning: { message: string; hint?: string }): void {
    const { err, environment } = this.context
    err.write(reportWarning(warning, { color: environment.color && err.isTerminal }))
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_REGISTRY_UNAUTHORIZED'
}
