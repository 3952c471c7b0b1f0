import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createTestRegistry, type TestRegistry } from '@cromwell/registry/testing'
import { requiresProgram } from '@cromwell/test-support'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CROMWELL, type CromwellHome, createCromwellHome } from './support/cromwell.ts'
import { openPane } from './support/tmux-pane.ts'

let registry: TestRegistry
let home: CromwellHome
let config: string

beforeEach(async () => {
  home = createCromwellHome()
  config = join(home.home, '.docker/config.json')
  registry = await createTestRegistry({ auth: 'basic', users: { kim: 's3cret' } })
})

afterEach(async () => {
  await home.remove()
  await registry.close()
})

/** Only the files below this home, whatever the machine has. */
const nowhere = {
  XDG_RUNTIME_DIR: '/nowhere',
  XDG_CONFIG_HOME: '',
  REGISTRY_AUTH_FILE: '',
  DOCKER_CONFIG: '',
}

function cromwell(args: string[], input = '') {
  return home.cromwell(args, { env: nowhere, input })
}

describe('login', () => {
  it('takes the password from standard input, and pull then has it', async () => {
    const args = ['login', '-u', 'kim', '--password-stdin', registry.host]
    const { status, stdout, stderr } = await cromwell(args, 's3cret\n')
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'Login Succeeded\n' })
    expect(stderr).toContain(`warning: the password is stored unencrypted in ${config}`)
    expect(statSync(config).mode & 0o777).toBe(0o600)
    const again = await cromwell(['login', registry.host])
    expect(again.stdout).toBe(
      'Authenticating with existing credentials... [Username: kim]\nLogin Succeeded\n',
    )
  })

  it('warns of a password on the command line', async () => {
    const args = ['login', '-u', 'kim', '-p', 's3cret', registry.host]
    const { status, stderr } = await cromwell(args)
    expect(status).toBe(0)
    expect(stderr).toContain('--password-stdin')
    expect(stderr).not.toContain('s3cret')
  })

  it('fails with a wrong password, and keeps nothing', async () => {
    const args = ['login', '-u', 'kim', '--password-stdin', registry.host]
    const { status, stderr } = await cromwell(args, 'wr0ng')
    expect(status).toBe(125)
    expect(stderr).toContain('it refuses the user name and password')
    expect(stderr).not.toContain('wr0ng')
    expect(() => statSync(config)).toThrow('ENOENT')
  })

  it.each([
    [['--password-stdin'], 'needs --username'],
    [['-u', 'kim', '-p', 'x', '--password-stdin'], 'do not go together'],
    [['-u', 'kim'], 'stdin is not a terminal'],
  ])('refuses %j', async (args, why) => {
    const { status, stderr } = await cromwell(['login', ...args, registry.host])
    expect(status).toBe(125)
    expect(stderr).toContain(why)
  })

  it('says so when another file comes first', async () => {
    const shadow = join(home.home, '.config/containers/auth.json')
    mkdirSync(join(home.home, '.config/containers'), { recursive: true })
    const auth = Buffer.from('old:0').toString('base64')
    writeFileSync(shadow, JSON.stringify({ auths: { [registry.host]: { auth } } }))
    const args = ['login', '-u', 'kim', '--password-stdin', registry.host]
    const { stderr } = await cromwell(args, 's3cret')
    expect(stderr).toContain(`${shadow} has other credentials`)
    expect((await cromwell(['logout', registry.host])).stdout).toContain('Removing')
    expect(JSON.parse(readFileSync(shadow, 'utf8'))).toEqual({ auths: {} })
    expect(JSON.parse(readFileSync(config, 'utf8'))).toEqual({ auths: {} })
  })

  it('asks on a terminal, and shows nothing of the password', async (context) => {
    requiresProgram(context, 'tmux')
    const terminal = openPane({
      ...home.env,
      ...nowhere,
      login: `${CROMWELL} login ${registry.host}`,
    })
    try {
      await terminal.until(/[#$]/)
      const before = terminal.mode()
      terminal.type('$login; echo ended $?', 'Enter')
      await terminal.until(/Username:/)
      terminal.type('kim', 'Enter')
      await terminal.until(/Password:/)
      terminal.type('s3crex', 'BSpace', 't', 'Enter')
      await terminal.until(/Login Succeeded\s+ended 0/)
      expect(terminal.screen()).not.toContain('s3c')
      expect(terminal.mode()).toBe(before)
      terminal.type('clear; $login -u kim', 'Enter')
      await terminal.until(/^(?![\s\S]*ended 0)[\s\S]*Password:/) // not the one before it is cleared
      terminal.type('s3cr', 'C-c')
      await terminal.until(/Password:\s+[#$]/)
      terminal.type('echo ended $?', 'Enter')
      await terminal.until(/ended 130/)
      expect(terminal.screen()).not.toContain('s3c')
      expect(terminal.mode()).toBe(before)
    } finally {
      terminal.close()
    }
  })

  it('asks on a terminal that is somebody else’s, as after su', async (context) => {
    requiresProgram(context, 'tmux')
    const isRoot = process.getuid?.() === 0
    const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
    const [program = '', ...options] = nobody
    if (isRoot && spawnSync(program, [...options, 'test', '-x', CROMWELL]).status !== 0) {
      return context.skip('nobody else may look into this checkout')
    }
    const login = [...(isRoot ? nobody : []), CROMWELL, 'login', '-u', 'kim', registry.host]
    const HOME = '/nowhere'
    const terminal = openPane({ ...home.env, ...nowhere, HOME, login: login.join(' ') })
    try {
      await terminal.until(/[#$]/)
      terminal.type('chmod 0 $(tty)', 'Enter')
      terminal.type('$login; echo ended $?', 'Enter')
      await terminal.until(/Password:/)
      terminal.type('wr0ng', 'Enter')
      await terminal.until(/refuses the user name and password[\s\S]*ended 125/)
      expect(terminal.screen()).not.toContain('wr0')
    } finally {
      terminal.close()
    }
  })
})

describe('logout', () => {
  it('forgets the password, and says when there is none', async () => {
    const args = ['login', '-u', 'kim', '--password-stdin', registry.host]
    await cromwell(args, 's3cret')
    expect(await cromwell(['logout', registry.host])).toMatchObject({
      status: 0,
      stdout: `Removing login credentials for ${registry.host}\n`,
    })
    expect(readFileSync(config, 'utf8')).not.toContain(registry.host)
    expect((await cromwell(['logout', registry.host])).stdout).toBe(
      `Not logged in to ${registry.host}\n`,
    )
  })
})
