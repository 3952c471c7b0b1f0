import { expect, test } from 'vitest'
import { faultError } from './fault.ts'
import type { LaunchSpec } from './launch-spec.ts'
import { STEPS, type Step } from './steps.ts'

const spec: LaunchSpec = {
  namespaces: [],
  root: { path: '/r', overlay: { lowerDirs: ['/l0', '/l1'], upperDir: '/u', workDir: '/w' } },
  mounts: [
    { type: 'proc', destination: '/proc' },
    { type: 'bind', source: '/src', destination: '/dst' },
  ],
  maskedPaths: ['/m'],
  readonlyPaths: ['/ro'],
  process: {
    args: ['prog'],
    env: [],
    cwd: '/work',
    uid: 0,
    gid: 0,
    additionalGids: [],
    umask: 0,
    capabilities: [],
    noNewPrivileges: false,
  },
  monitor: { logPath: '/log' },
}

function errorFor(step: Step, errno: number, index?: number, call = 'call', detail = '') {
  return faultError({ type: 'fault', step: STEPS.indexOf(step), index, errno, call, detail }, spec)
}

test.each<[Step, number | undefined, string]>([
  ['mnt', 0, '/proc'],
  ['mnt', 1, '/dst'],
  ['mask', 0, '/m'],
  ['ro', 0, '/ro'],
  ['cwd', undefined, '/work'],
  ['log', undefined, '/log'],
  ['root.overlay', undefined, '/r'],
  ['root.overlay', 1, '/l1'],
  ['root.overlay', 2, '/u'],
  ['root.overlay', 3, '/w'],
  ['root.pivot', undefined, '/r'],
])('step %s, element %s is about %s', (step, index, path) => {
  expect(errorFor(step, 1, index)).toMatchObject({ code: 'ERR_NS_SETUP', step, path })
})

test('the message says what could not be done, to what, and why', () => {
  expect(errorFor('mnt', 2, 1, 'open').message).toBe(
    'cannot bind /src to /dst: open: no such file or directory',
  )
  expect(errorFor('mnt', 1, 0, 'fsmount').message).toBe(
    'cannot mount proc on /proc: fsmount: operation not permitted',
  )
  expect(errorFor('clone', 28, undefined, 'clone').message).toBe(
    'cannot create namespaces: clone: no space left on device',
  )
  expect(errorFor('init', 10, undefined, 'wait4').message).toContain('killed')
})

test('what newuidmap said is in the message', () => {
  const error = errorFor(
    'idmap.uid',
    1,
    undefined,
    'newuidmap',
    'uid range [0-1) -> [5-6) not allowed',
  )
  expect(error.message).toContain('(uid range [0-1) -> [5-6) not allowed)')
  expect(error.hint).toContain('/etc/subuid')
})

test.each<[Step, number, number | undefined, RegExp]>([
  ['clone', 38, undefined, /Linux 5\.11/],
  ['clone', 28, undefined, /limit|turned off/],
  ['clone', 1, undefined, /./],
  ['idmap.uid', 2, undefined, /uidmap/],
  ['root.overlay', 19, undefined, /modprobe/],
  ['root.overlay', 22, undefined, /NFS/],
  ['mnt', 1, 0, /fully visible/],
  ['mnt', 2, 1, /source must exist/],
  ['mnt', 22, 1, /a file only to a file/],
  ['mnt', 40, 1, /symbolic link/],
  ['setid.final', 22, undefined, /subuid/],
  ['cwd', 13, undefined, /may not enter/],
  ['exec', 8, undefined, /processor/],
  ['exec', 7, undefined, /too large/],
  ['exec', 2, 1, /interpreter/],
  ['keyring', 122, undefined, /maxkeys/],
])('step %s with errno %i has a remedy', (step, errno, index, hint) => {
  expect(errorFor(step, errno, index).hint).toMatch(hint)
})

test('every step has words', () => {
  for (const step of STEPS) expect(errorFor(step, 5, 0).message).toMatch(/^cannot /)
})

test('a step that this package does not know is a mismatch of versions', () => {
  const fault = {
    type: 'fault',
    step: 999,
    index: undefined,
    errno: 1,
    call: '',
    detail: '',
  } as const
  expect(faultError(fault, spec)).toMatchObject({ code: 'ERR_NS_HELPER' })
})
