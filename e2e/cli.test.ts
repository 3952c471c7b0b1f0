import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '@cromwell/test-support'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CROMWELL, type CromwellHome, createCromwellHome } from './support/cromwell.ts'

let home: CromwellHome

beforeAll(() => {
  home = createCromwellHome()
})

afterAll(() => home.remove())

const { version } = JSON.parse(
  readFileSync(join(import.meta.dirname, '../packages/cli/package.json'), 'utf8'),
)

describe('cromwell', () => {
  it.each([[[]], [['--help']], [['-h']], [['help']]])('prints its help for %j', async (argv) => {
    const { status, stdout, stderr } = await home.cromwell(argv)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/^Usage: {2}cromwell COMMAND\n/)
    for (const verb of ['run', 'pull', 'push', 'tag', 'ps', 'stop', 'rm', 'logs', 'setup']) {
      expect(stdout).toMatch(new RegExp(`^ {2}${verb} +[A-Z]`, 'm'))
    }
  })

  it.each([['--version'], ['-v'], ['-V']])('prints its version for %s', async (flag) => {
    expect(await home.cromwell([flag])).toMatchObject({
      status: 0,
      stdout: `cromwell ${version}\n`,
      stderr: '',
    })
  })

  it.each(['run', 'pull', 'push', 'tag', 'ps', 'stop', 'rm', 'logs', 'setup'])(
    'prints the help of %s, also as help %s',
    async (verb) => {
      const help = await home.cromwell([verb, '--help'])
      expect(help).toMatchObject({ status: 0, stderr: '' })
      expect(help.stdout).toMatch(new RegExp(`^Usage: {2}cromwell ${verb} `))
      expect(await home.cromwell(['help', verb])).toEqual(help)
    },
  )

  it('leaves -h to the host name in run, as docker does', async () => {
    const { stdout } = await home.cromwell(['run', '--help'])
    expect(stdout).toMatch(/^ {2}-h, --hostname NAME/m)
    expect((await home.cromwell(['run', '-h'])).stderr).toBe(
      'cromwell: flag needs an argument: -h\n',
    )
    expect((await home.cromwell(['ps', '-h'])).stdout).toMatch(/^Usage: {2}cromwell ps /)
  })

  it.each([
    [['rnu'], 'unknown command: rnu', 'did you mean run?'],
    [['frobnicate'], 'unknown command: frobnicate', "'cromwell --help' lists the commands"],
    [['--rm', 'run'], 'unknown flag: --rm', "flags come after the command: 'cromwell run --rm …'"],
    [['ps', '--al'], 'unknown flag: --al', 'did you mean --all?'],
    [['ps', 'x'], 'cromwell ps takes no arguments', 'usage: cromwell ps [OPTIONS]'],
    [['ps', '--format', 'xml'], 'unknown format: xml', 'the formats are table and json'],
    [['pull'], 'cromwell pull needs IMAGE', undefined],
    [['run'], 'cromwell run needs IMAGE', undefined],
    [['run', '-e'], 'flag needs an argument: -e', undefined],
    [['run', '--network', 'bridge', 'alpine'], 'unknown network: bridge', undefined],
    [['run', '--net', 'bridge', 'alpine'], 'unknown network: bridge', undefined],
    [['run', '--pull', 'often', 'alpine'], 'unknown pull policy: often', undefined],
    [
      ['run', '-v', 'data:/x', '--rootfs', '/', 'true'],
      'cannot mount the volume data:/x',
      undefined,
    ],
  ])('answers %j with a usage error', async (argv, message, hint) => {
    const { status, stdout, stderr } = await home.cromwell(argv)
    expect(status).toBe(125)
    expect(stdout).toBe('')
    expect(stderr).toContain(`cromwell: ${message}`)
    if (hint !== undefined) expect(stderr).toContain(`hint: ${hint}\n`)
    expect(stderr).not.toMatch(/^ +at /m)
  })

  it('says that stdin is no terminal before anything starts', async () => {
    const { status, stderr } = await home.cromwell(['run', '-it', 'alpine', 'sh'])
    expect(status).toBe(125)
    expect(stderr).toContain('stdin is not a terminal')
    expect(existsSync(join(home.home, 'images'))).toBe(false)
  })

  it('is quiet when the reader of its output is gone', () => {
    const script = `{ "$0" --help; echo "status $?" >&2; } | true`
    const { stderr } = spawnSync('sh', ['-c', `sleep 0.05 | ${script}`, CROMWELL], {
      encoding: 'utf8',
    })
    expect(stderr).toMatch(/^status (141|0)\n$/)
  })

  it('says nothing about its insides, unless asked to', async () => {
    const env = { CROMWELL_HOME: '/dev/null/nowhere' }
    const quiet = await home.cromwell(['run', '--rootfs', '/', 'true'], { env })
    expect(quiet.status).toBe(125)
    expect(quiet.stderr).toMatch(/^cromwell: .*\/dev\/null\/nowhere/)
    expect(quiet.stderr).not.toMatch(/^ +at /m)
    const debug = await home.cromwell(['run', '--rootfs', '/', 'true'], {
      env: { ...env, CROMWELL_DEBUG: '1' },
    })
    expect(debug.stderr).toMatch(/^ +at /m)
  })
})

describe('an --env-file, which node knows, too', () => {
  const program = join(import.meta.dirname, '../packages/cli/bin/cromwell.cjs')

  it('is ours to miss', async () => {
    const argv = ['run', '--rootfs', '/', '--env-file', '/nonexistent', 'true']
    const { status, stderr } = await run(program, argv, { env: home.env })
    expect(stderr).toMatch(/^cromwell: cannot read .*\/nonexistent/)
    expect(status).toBe(125)
  })

  it('gives node no options', async () => {
    const file = join(home.home, 'env')
    writeFileSync(file, 'NODE_OPTIONS=--no-such-option\n')
    const argv = ['run', '--env-file', file]
    const { stderr } = await run(program, argv, { env: home.env })
    expect(stderr).toMatch(/^cromwell: cromwell run needs IMAGE/)
  })
})

describe('ps on an empty home', () => {
  it('prints the header alone, and makes nothing', async () => {
    const empty = join(home.home, 'never-made')
    const env = { CROMWELL_HOME: empty }
    expect(await home.cromwell(['ps'], { env })).toMatchObject({
      status: 0,
      stdout: 'CONTAINER ID   IMAGE   COMMAND   CREATED   STATUS   PORTS   NAMES   PID\n',
      stderr: '',
    })
    expect((await home.cromwell(['ps', '-aq'], { env })).stdout).toBe('')
    expect((await home.cromwell(['ps', '--format=json'], { env })).stdout).toBe('[]\n')
    expect(existsSync(empty)).toBe(false)
  })
})
