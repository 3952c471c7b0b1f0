import { describe, expect, it } from 'vitest'
import { readEnvironment } from './environment.ts'

const system = { homedir: () => '/home/from-passwd', cwd: () => '/work' }

describe('readEnvironment', () => {
  it('puts state under ~/.cromwell and looks for credentials where docker and podman keep them', () => {
    expect(
      readEnvironment({ HOME: '/home/u', XDG_RUNTIME_DIR: '/run/user/7' }, system),
    ).toMatchObject({
      home: '/home/u',
      cromwellHome: '/home/u/.cromwell',
      dockerConfig: '/home/u/.docker/config.json',
      authFiles: ['/run/user/7/containers/auth.json', '/home/u/.config/containers/auth.json'],
      debug: false,
    })
  })

  it('follows the variables that move each of them', () => {
    const variables = {
      HOME: '/home/u',
      CROMWELL_HOME: '/srv/c',
      DOCKER_CONFIG: '/etc/docker-cli',
      REGISTRY_AUTH_FILE: '/secret/auth.json',
      XDG_RUNTIME_DIR: '/run/user/7',
      CROMWELL_DEBUG: '1',
    }
    expect(readEnvironment(variables, system)).toMatchObject({
      cromwellHome: '/srv/c',
      dockerConfig: '/etc/docker-cli/config.json',
      authFiles: ['/secret/auth.json'],
      debug: true,
    })
  })

  it('treats an empty variable as unset, and asks the system when HOME is', () => {
    const environment = readEnvironment({ HOME: '', CROMWELL_HOME: '', CROMWELL_DEBUG: '' }, system)
    expect(environment.cromwellHome).toBe('/home/from-passwd/.cromwell')
    expect(environment.debug).toBe(false)
  })

  it('takes a relative CROMWELL_HOME from the current directory', () => {
    expect(readEnvironment({ HOME: '/h', CROMWELL_HOME: 'x' }, system).cromwellHome).toBe('/work/x')
  })

  it('says what is wrong when the current directory was removed, and only to who needs it', () => {
    const gone = {
      homedir: () => '/h',
      cwd: () => {
        throw new Error('ENOENT: uv_cwd')
      },
    }
    const environment = readEnvironment({}, gone)
    expect(() => environment.currentDirectory()).toThrow(
      expect.objectContaining({ code: 'ERR_CLI_WORKING_DIRECTORY' }),
    )
  })
})
