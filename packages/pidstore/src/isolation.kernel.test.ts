import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { afterEach, beforeEach, describe, expect, it, type TestContext } from 'vitest'
import { openPidStore, type PidStore } from './store.ts'

let base: string
let directory: string
let store: PidStore

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'pidstore-kernel-'))
  directory = join(base, 'pids')
  store = openPidStore(directory)
})

afterEach(() => {
  rmSync(base, { recursive: true, force: true })
})

/**
 * Runs a shell script in new namespaces, in which `$NODE PROGRAM` runs a program that has `store`
 * and `directory`, and whose result is what it prints as JSON.
 */
function inNamespaces(flags: string[], script: string, program: string): unknown {
  const source = `
    import { openPidStore } from '@cromwell/pidstore'
    const directory = process.env.STORE
    const store = openPidStore(directory)
    const result = await (async () => { ${program} })().catch(({ code, step }) => ({ code, step }))
    console.log(JSON.stringify(result))`
  const output = execFileSync(
    'unshare',
    ['--user', '--map-root-user', ...flags, 'sh', '-euc', script],
    {
      cwd: join(import.meta.dirname, '..'),
      encoding: 'utf8',
      env: {
        ...process.env,
        BASE: base,
        STORE: directory,
        NODE: process.execPath,
        PROGRAM: source,
      },
    },
  )
  return JSON.parse(output)
}

const NODE = 'exec "$NODE" --input-type=module -e "$PROGRAM"'
const PID_NAMESPACE = ['--pid', '--fork', '--mount']

function requiresNamespaces(context: TestContext, ...flags: string[]): void {
  const why = 'this user may not create user namespaces here'
  requires(context, 'userns', canCreateUserNamespace(), why)
  if (flags.length === 0) return
  const { status } = spawnSync('unshare', ['--user', '--map-root-user', ...flags, 'true'])
  requires(context, 'timens', status === 0, 'the kernel or unshare has no time namespaces')
}

describe('in another pid namespace', () => {
  it('records from outside are elsewhere, are not signalled and are not swept', async (context) => {
    requiresNamespaces(context)
    await store.create('outside', { pid: process.pid })
    const inside = inNamespaces(
      [...PID_NAMESPACE, '--mount-proc'],
      NODE,
      `
      await store.create('inside', { pid: process.pid })
      const states = (await store.list()).map(({ id, state }) => id + ' ' + state)
      return [process.pid, ...states, await store.signal('outside', 0), await store.sweep()]`,
    )
    expect(inside).toEqual([1, 'inside running', 'outside elsewhere', false, []])
    expect(await store.get('inside')).toMatchObject({ state: 'elsewhere', record: { pid: 1 } })
    expect(await store.get('outside')).toMatchObject({ state: 'running' })
  })

  it('nothing is recorded or judged by the /proc of the parent namespace', async (context) => {
    requiresNamespaces(context)
    await store.create('outside', { pid: process.pid })
    const program = (call: string) => inNamespaces(PID_NAMESPACE, NODE, `return await ${call}`)
    expect(program('store.list()')).toMatchObject({ code: 'ERR_PIDSTORE_PROC' })
    expect(program(`store.create('inside', { pid: process.pid })`)).toMatchObject({
      code: 'ERR_PIDSTORE_PROC',
    })
  })
})

describe('with /proc mounted hidepid', () => {
  it.for(['ptraceable', 'invisible', 'noaccess'])(
    '(%s) a process is elsewhere, not gone',
    (mode, context) => {
      requiresNamespaces(context)
      // The older two modes hide nothing from members of group 0.
      const plain = mode === 'ptraceable' || process.getegid?.() !== 0
      requires(context, 'plain-user', plain, `hidepid=${mode} does not concern group 0`)
      // Without CAP_SYS_PTRACE a program whose file we may not read is not ours to look at.
      const script = `
      mount -t proc proc /proc
      cp "$(command -v sleep)" "$BASE/sleep"
      chmod 0111 "$BASE/sleep"
      export HIDE="mount -o remount,hidepid=${mode} /proc"
      exec setpriv --bounding-set=-sys_ptrace,-dac_override,-dac_read_search --inh-caps=-all sh -euc '
        "$BASE/sleep" 60 >/dev/null 2>&1 &
        export SLEEP=$!
        ${NODE}'`
      const result = inNamespaces(
        PID_NAMESPACE,
        script,
        `
      const { execSync } = await import('node:child_process')
      const pid = Number(process.env.SLEEP)
      await new Promise((resolve) => setTimeout(resolve, 100))
      await store.create('web', { pid })
      const before = (await store.get('web')).state
      execSync(process.env.HIDE)
      const { state, reason } = await store.get('web')
      const sent = await store.signal('web', 'SIGKILL')
      const created = await store.create('db', { pid }).catch(({ code }) => code)
      process.kill(pid, 'SIGKILL')
      return { before, state, reason, sent, created }`,
      )
      expect(result).toEqual({
        before: 'running',
        state: 'elsewhere',
        reason: expect.stringMatching(/^\/proc hides who has pid \d+$/),
        sent: false,
        created: 'ERR_PIDSTORE_PROC',
      })
    },
  )
})

describe('in another time namespace', () => {
  it('a process is known again although its start time reads differently', async (context) => {
    const time = ['--time', '--boottime', '86400', '--fork']
    requiresNamespaces(context, ...time)
    const record = await store.create('outside', { pid: process.pid })
    const inside = inNamespaces(
      time,
      NODE,
      `
      const { readProcessIdentity } = await import('@cromwell/pidstore')
      const { startTime, timeOffset } = readProcessIdentity(${process.pid})
      const { state } = await store.get('outside')
      await store.create('inside', { pid: ${process.pid} })
      return { shift: startTime - ${record.startTime}, timeOffset, state }`,
    )
    expect(inside).toEqual({ shift: 8_640_000, timeOffset: 8_640_000, state: 'running' })
    expect(await store.get('inside')).toMatchObject({ state: 'running' })
  })
})

describe('a file system that takes no more', () => {
  it('full, makes create fail with a typed error and keeps the old record', async (context) => {
    requiresNamespaces(context)
    const outcomes = inNamespaces(
      ['--mount'],
      `mkdir "$STORE"; mount -t tmpfs -o size=64k,nr_inodes=100 tmpfs "$STORE"; ${NODE}`,
      `
      const { readdirSync, readFileSync, rmSync, writeFileSync } = await import('node:fs')
      await store.create('web', { pid: process.pid })
      const old = readFileSync(directory + '/web.pid', 'latin1').replace(/startTime=.*/, 'startTime=1')
      const outcomes = new Set()
      for (let pages = 10; pages <= 16; pages++) {
        writeFileSync(directory + '/web.pid', old)
        try { writeFileSync(directory + '/filling', Buffer.alloc(pages * 4096)) } catch {}
        const outcome = await store.create('web', { pid: process.pid }).then(
          () => 'created',
          (error) => [error.code, error.cause?.code, typeof error.hint].join(' '),
        )
        outcomes.add(outcome)
        rmSync(directory + '/filling')
        if (outcome === 'created') continue
        if (readFileSync(directory + '/web.pid', 'latin1') !== old) outcomes.add('old record lost')
        if (readdirSync(directory).length !== 1) outcomes.add('leftovers')
      }
      return [...outcomes].sort()`,
    )
    expect(outcomes).toEqual(['ERR_PIDSTORE_WRITE ENOSPC string', 'created'])
  })

  it('read-only, makes every change fail with a typed error while reading goes on', async (context) => {
    requiresNamespaces(context)
    await store.create('web', { pid: process.pid })
    const outcomes = inNamespaces(
      ['--mount'],
      `mount --bind "$STORE" "$STORE"; mount -o remount,bind,ro "$STORE"; ${NODE}`,
      `
      const code = (error) => [error.code, error.step, error.cause?.code].join(' ')
      return [
        await store.create('db', { pid: process.pid }).catch(code),
        await store.remove('web').catch(code),
        (await store.get('web')).state,
        await store.sweep(),
      ]`,
    )
    expect(outcomes).toEqual([
      'ERR_PIDSTORE_WRITE lock EROFS',
      'ERR_PIDSTORE_WRITE unlink EROFS',
      'running',
      [],
    ])
  })
})
