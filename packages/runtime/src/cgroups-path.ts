import { posix } from 'node:path'
import type { CgroupSpec } from '@cromwell/ns-native'
import { RuntimeError } from './errors.ts'

const MOUNT_POINT = '/sys/fs/cgroup'
const POINTER = '/linux/cgroupsPath'
// what is a name for a group, and neither a file of one nor an option
const NAME = /^(?!(?:cgroup|cpu|memory|pids|io)\.)[A-Za-z0-9_][A-Za-z0-9_.+-]{0,200}$/

/**
 * Where the container's group is to be, by `linux.cgroupsPath`: absolute, it is taken from the mount
 * point on, and the groups above it must be there; relative, it is a name for the group that a
 * launch with limits makes anyway. Source: config-linux.md, "Control groups", where a path that is
 * given has to be honoured or refused.
 */
export function planCgroup(path: string | undefined): CgroupSpec | undefined {
  if (path === undefined || path === '') return undefined
  if (/^[^/]*:[^/]*:[^/]*$/.test(path)) {
    throw refuse(
      'ERR_RUNTIME_UNSUPPORTED',
      `is ${JSON.stringify(path)}: no unit of systemd's is made`,
      {
        hint: 'run the outer runtime with --cgroup-manager cgroupfs, or leave cgroupsPath out: then systemd is asked for a scope',
      },
    )
  }
  const names = path.split('/').filter((name) => name !== '' && name !== '.')
  const name = names.pop()
  if (name === undefined || ![...names, name].every((part) => NAME.test(part))) {
    throw refuse('ERR_RUNTIME_CONFIG', `is ${JSON.stringify(path)}, which names no group`)
  }
  if (path.startsWith('/')) return { parent: posix.join(MOUNT_POINT, ...names), name }
  if (names.length === 0) return { name }
  throw refuse(
    'ERR_RUNTIME_UNSUPPORTED',
    `is ${JSON.stringify(path)}: a relative one may have one name`,
    {
      hint: 'make it absolute, with groups above it that are there',
    },
  )
}

function refuse(
  code: 'ERR_RUNTIME_CONFIG' | 'ERR_RUNTIME_UNSUPPORTED',
  why: string,
  facts: { hint?: string } = {},
): RuntimeError {
  return new RuntimeError(code, `config.json: ${POINTER} ${why}`, { pointer: POINTER, ...facts })
}
