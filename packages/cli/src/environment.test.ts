import { describe, expect, it } from 'vitest'
import { readEnvironment } from './environment.ts'

const system = { homedir: () => '/home/from-passwd', cwd: () => '/project' }

describe('readEnvironment', () => {
  it('puts state under ~/.cromwell, or where CROMWELL_HOME says', () => {
    const home = (variables: Record<string, string>) =>
      readEnvironment(variables, system).cromwellHome
    expect(home({ HOME: '/home/u' })).toBe('/home/u/.cromwell')
    expect(home({ HOME: '/home/u', CROMWELL_HOME: '/srv/c' })).toBe('/srv/c')
    expect(home({ HOME: '/home/u', CROMWELL_HOME: 'here' })).toBe('/project/here')
    expect(home({ HOME: '', CROMWELL_HOME: '' })).toBe('/home/from-passwd/.cromwell')
  })

  it('reads the switches, an empty one being none', () => {
    expect(readEnvironment({ HOME: '/h' }, system)).toMatchObject({ debug: false, color: true })
    const variables = { HOME: '/h', CROMWELL_DEBUG: '1', NO_COLOR: '1' }
    expect(readEnvironment(variables, system)).toMatchObject({ debug: true, color: false })
    const empty = { HOME: '/h', CROMWELL_DEBUG: '', NO_COLOR: '' }
    expect(readEnvironment(empty, system)).toMatchObject({ debug: false, color: true })
    expect(readEnvironment({ HOME: '/h', TERM: 'dumb' }, system).color).toBe(false)
  })

  it('does without the current directory when it was removed', () => {
    const gone = {
      homedir: () => '/h',
      cwd: () => {
        throw new Error('ENOENT: uv_cwd')
      },
    }
    expect(readEnvironment({ HOME: '/h' }, gone)).toMatchObject({
      cromwellHome: '/h/.cromwell',
      currentDirectory: '/proc/self/cwd',
    })
  })
})
