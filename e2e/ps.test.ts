import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { canCreateUserNamespace, requires, run } from '@cromwell/test-support'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { CROMWELL, type CromwellHome, createCromwellHome } from './support/cromwell.ts'

let home: CromwellHome

beforeAll(() => {
  home = createCromwellHome()
})

afterAll(() => home.remove())

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'unshare -Ur fails')
})

/** Start a detached container on this machine's own root; its id. */
async function detached(...options: string[]): Promise<string> {
  const { stdout, stderr } = await home.cromwell([
    'run',
    '-d',
    ...options,
    '--rootfs',
    '/',
    'sleep',
    '600',
  ])
  expect(stderr).toBe('')
  expect(stdout).toMatch(/^[0-9a-f]{64}\n$/)
  return stdout.trim()
}

interface Row {
  Id: string
  Pid: number
  State: string
  Status: string
  ExitCode: number
}

async function ps(...options: string[]): Promise<Row[]> {
  const { status, stdout, stderr } = await home.cromwell(['ps', '--format', 'json', ...options])
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return JSON.parse(stdout)
}

async function row(id: string, ...options: string[]): Promise<Row> {
  const found = (await ps(...options)).find((container) => container.Id === id)
  if (found === undefined) throw new Error(`${id} is not listed`)
  return found
}

async function listed(id: string, ...options: string[]): Promise<boolean> {
  return (await ps(...options)).some((container) => container.Id === id)
}

/** The parent of a process, from the outside: of a container's PID 1, this is its monitor. */
function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
}

async function gone(pid: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    try {
      if (/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) return
    } catch {
      return
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`${pid} is still there`)
}

describe('ps', () => {
  it('lists what runs, with its pid', async () => {
    const id = await detached('--name', 'sleeper')
    expect(await row(id)).toMatchObject({ State: 'running', Pid: expect.any(Number) })
    const { stdout } = await home.cromwell(['ps'])
    expect(stdout).toMatch(/^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES +PID\n/)
    expect(stdout).toMatch(
      new RegExp(`^${id.slice(0, 12)} .*"sleep 600".* Up .* sleeper +\\d+$`, 'm'),
    )
  })

  it('does not list a container that was killed with -9, and -a says so', async () => {
    const id = await detached()
    const { Pid } = await row(id)
    process.kill(Pid, 'SIGKILL')
    await gone(Pid)
    expect(await listed(id)).toBe(false)
    expect(await row(id, '-a')).toMatchObject({ State: 'exited', ExitCode: 137 })
  })

  it('does not list a container whose monitor was killed with -9, because it died with it', async () => {
    const id = await detached()
    const { Pid } = await row(id)
    process.kill(parentOf(Pid), 'SIGKILL')
    await gone(Pid)
    expect(await listed(id)).toBe(false)
    expect(await row(id, '-a')).toMatchObject({ State: 'exited' })
  })

  it('does not list a container whose command line was killed with -9, because it died with it', async () => {
    const name = 'foreground'
    const args = ['run', '--name', name, '--rootfs', '/', 'sleep', '600']
    const cli = spawn(CROMWELL, args, { env: home.env, stdio: 'ignore' })
    let running: Row | undefined
    for (let attempt = 0; running === undefined && attempt < 100; attempt++) {
      running = (await ps()).find((container) => JSON.stringify(container).includes(name))
    }
    cli.kill('SIGKILL')
    await once(cli, 'exit')
    await gone(running?.Pid ?? 0)
    expect(await listed(running?.Id ?? '')).toBe(false)
  })

  it('takes a record from before a reboot for an exited container', async () => {
    const id = await detached()
    const { Pid } = await row(id)
    const pidfile = join(home.home, 'pids', `${id}.pid`)
    const record = readFileSync(pidfile, 'utf8')
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    expect(record).toContain(bootId)
    writeFileSync(pidfile, record.replace(bootId, '00000000-0000-4000-8000-000000000000'))
    expect(await listed(id)).toBe(false)
    expect(await row(id, '-a')).toMatchObject({ State: 'exited' })
    process.kill(Pid, 'SIGKILL')
  })

  it('is not fooled by another process that got the same pid', async () => {
    const id = await detached()
    const { Pid } = await row(id)
    const pidfile = join(home.home, 'pids', `${id}.pid`)
    writeFileSync(pidfile, readFileSync(pidfile, 'utf8').replace(/^\d+/, String(process.pid)))
    expect(await listed(id)).toBe(false)
    process.kill(Pid, 'SIGKILL')
  })

  it('shows the others when one record is corrupt', async () => {
    const broken = await detached()
    const { Pid } = await row(broken)
    const whole = await detached()
    writeFileSync(join(home.home, 'pids', `${broken}.pid`), '\0garbage')
    expect(await listed(whole)).toBe(true)
    expect(await listed(broken)).toBe(false)
    process.kill(Pid, 'SIGKILL')
  })

  it('works where /proc hides what cannot be traced, as on shared machines', async () => {
    // hidepid hides nothing from CAP_SYS_PTRACE, which root of a namespace has over what it starts
    const hidden = `mount -o remount,hidepid=ptraceable /proc
      exec setpriv --bounding-set=-sys_ptrace --inh-caps=-all sh -euc '
        "$0" run -d --name hidden --rootfs / sleep 600 >/dev/null
        "$0" ps; "$0" stop hidden; "$0" ps -a' "$0"`
    const unshare = ['-Urmpf', '--mount-proc', 'sh', '-euc', hidden, CROMWELL]
    const { status, stdout, stderr } = await run('unshare', unshare, { env: home.env })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/ Up .* hidden +\d+$/m)
    expect(stdout).toMatch(/ Exited \(143\) .* hidden *$/m)
  })
})
