import { describe, expect, it } from 'vitest'
import { readEnvironment } from './environment.ts'
import { parseRunFlags, type RunFlags } from './run-flags.ts'

const environment = readEnvironment(
  { HOME: '/home/u' },
  { homedir: () => '/home/u', cwd: () => '/project' },
)

const none: RunFlags = {
  detach: false,
  rm: false,
  del: false,
  readOnly: false,
  memory: undefined,
  cpus: undefined,
  pidsLimit: undefined,
  containerName: undefined,
  hostname: undefined,
  env: [],
  envFile: [],
  workdir: undefined,
  user: undefined,
  volume: [],
  entrypoint: undefined,
  network: undefined,
  pull: undefined,
  platform: undefined,
  rootfs: undefined,
  image: undefined,
  exec: undefined,
  containerId: undefined,
  operands: [],
}

function parse(flags: Partial<RunFlags>) {
  return parseRunFlags({ ...none, ...flags }, environment)
}

describe('parseRunFlags', () => {
  it('takes the first operand for the image and the rest for the command', () => {
    expect(parse({ operands: ['alpine', 'ls', '-a'] })).toMatchObject({
      image: 'alpine',
      command: ['ls', '-a'],
      removeOnExit: false,
      detached: false,
      network: 'host',
      pull: 'missing',
    })
  })

  it('takes all operands for the command with --rootfs, a relative one from here', () => {
    expect(parse({ rootfs: '/', operands: ['sh'] })).toMatchObject({
      rootfs: '/',
      command: ['sh'],
    })
    expect(parse({ rootfs: 'tree' }).rootfs).toBe('/project/tree')
  })

  it('drops the entrypoint for an empty one', () => {
    expect(parse({ operands: ['a'] }).entrypoint).toBeUndefined()
    expect(parse({ entrypoint: '', operands: ['a'] }).entrypoint).toEqual([''])
    expect(parse({ entrypoint: '/x y', operands: ['a', 'b'] })).toMatchObject({
      entrypoint: ['/x y'],
      command: ['b'],
    })
  })

  it('takes env files from the current directory', () => {
    expect(parse({ envFile: ['vars', '/etc/vars'], operands: ['a'] }).envFiles).toEqual([
      '/project/vars',
      '/etc/vars',
    ])
  })

  it('knows the spellings of the original', () => {
    expect(parse({ image: 'library/alpine:3.8', exec: 'ls -a' })).toMatchObject({
      image: 'library/alpine:3.8',
      entrypoint: ['/bin/sh'],
      command: ['-c', 'ls -a'],
    })
    expect(parse({ image: 'alpine', containerId: 'abc', del: true })).toMatchObject({
      id: 'abc',
      removeOnExit: true,
    })
    expect(parse({ image: 'alpine', operands: ['uname'] }).command).toEqual(['uname'])
  })

  it.each([
    [{}, 'cromwell run needs IMAGE'],
    [{ exec: 'x', operands: ['a', 'b'] }, '--exec and a command (b) exclude each other'],
    [{ exec: 'x', entrypoint: 'y', image: 'a' }, '--exec and --entrypoint exclude each other'],
    [{ rootfs: '/', image: 'a' }, '-n has no meaning with --rootfs'],
    [{ rootfs: '/', platform: 'linux/arm64' }, '--platform has no meaning with --rootfs'],
    [{ rootfs: '' }, '--rootfs needs a directory'],
    [{ network: 'bridge', operands: ['a'] }, 'unknown network: bridge'],
    [{ pull: 'sometimes', operands: ['a'] }, 'unknown pull policy: sometimes'],
  ])('refuses %j', (flags, message) => {
    expect(() => parse(flags)).toThrow(expect.objectContaining({ code: 'ERR_CLI_USAGE', message }))
  })
})
