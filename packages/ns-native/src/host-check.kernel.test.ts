import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { constants, tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Facility } from './facility.ts'
import { checkHost } from './host-check.ts'
import { selectIdMapping } from './id-mapping.ts'
import { launch } from './launch.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cromwell-check-'))
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

const { uid, gid, username: userName } = userInfo()
const ownMap = readFileSync('/proc/self/uid_map', 'utf8')
const idMapping = selectIdMapping({ uid, gid, userName, ownMap, subuid: '', subgid: '' })

test('what works is found out by doing it, and leaves nothing behind', async (context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
  const facilities = await checkHost({ idMapping, directory })
  const byName = Object.fromEntries(facilities.map((facility) => [facility.name, facility]))
  for (const name of [
    'user-namespaces',
    'proc',
    'overlay',
    'network-namespace',
    'time-namespace',
    'seccomp',
  ]) {
    expect(byName[name]).toEqual({ name, ok: true })
  }
  expect(byName['id-mapping']).toMatchObject(
    uid === 0
      ? { ok: true, detail: 'identity' }
      : { ok: false, detail: 'single', why: expect.stringContaining('usermod --add-subuids') },
  )
  expect(byName['cgroup']?.detail).toMatch(/^(none|v1|hybrid|v2)(, .*)?$/)
  expect(readdirSync(directory)).toEqual([])
})

// Runs in a user namespace whose own limit forbids further ones.
const CHECK_WITHOUT_NAMESPACES = `
import { checkHost } from '@cromwell/ns-native'
import { writeFileSync } from 'node:fs'
writeFileSync('/proc/sys/user/max_user_namespaces', '0')
const one = [{ containerID: 0, hostID: 0, size: 1 }]
const idMapping = { kind: 'single', uidMappings: one, gidMappings: one, key: 'single', note: 'why' }
console.log(JSON.stringify(await checkHost({ idMapping, directory: process.argv[1] })))
`

test('what does not work is told with the errno, why, and the fix', async (context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
  const node = [process.execPath, '--input-type=module', '--eval', CHECK_WITHOUT_NAMESPACES]
  const child = await launch(
    {
      namespaces: ['user'],
      idMapping: selectIdMapping({ uid, gid, userName, ownMap, subuid: '', subgid: '' }),
      mounts: [],
      maskedPaths: [],
      readonlyPaths: [],
      process: {
        args: [...node, directory],
        env: [],
        cwd: fileURLToPath(new URL('..', import.meta.url)),
        uid: 0,
        gid: 0,
        additionalGids: [],
        umask: 0o022,
        capabilities: ['CAP_SYS_RESOURCE'],
        noNewPrivileges: true,
      },
    },
    { stdio: ['ignore', 'pipe', 2] },
  )
  const printed = await text(child.stdout ?? Readable.from([]))
  const facilities: Facility[] = JSON.parse(printed)
  const byName = Object.fromEntries(facilities.map((facility) => [facility.name, facility]))
  for (const name of ['user-namespaces', 'proc', 'overlay', 'network-namespace', 'seccomp']) {
    expect(byName[name]).toEqual({
      name,
      ok: false,
      errno: constants.errno.ENOSPC,
      why: expect.stringContaining('cannot create namespaces'),
      fix: expect.stringContaining('user.max_user_namespaces'),
    })
  }
  expect(byName['id-mapping']).toMatchObject({ ok: false, detail: 'single', why: 'why' })
  expect(readdirSync(directory)).toEqual([])
})
