import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createTestRegistry, makeImage, makeLayer } from '@cromwell/registry/testing'
import { canCreateUserNamespace, requires, requiresProgram } from '@cromwell/test-support'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { CROMWELL, type CromwellHome, createCromwellHome } from './support/cromwell.ts'
import { openPane, type Pane } from './support/tmux-pane.ts'

let home: CromwellHome
let pane: Pane | undefined
let before: string

beforeAll(() => {
  home = createCromwellHome()
})

afterAll(() => home.remove())

beforeEach((context) => {
  requiresProgram(context, 'tmux')
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'unshare -Ur fails')
})

afterEach(() => {
  pane?.close()
  pane = undefined
})

/** A shell in a terminal in which `$run` starts a container that has a terminal of its own. */
async function open(): Promise<Pane> {
  const run = `${CROMWELL} run -it --rm --rootfs /`
  pane = openPane({ ...home.env, run, cromwell: CROMWELL })
  await pane.until(/[#$]/)
  before = pane.mode()
  return pane
}

/** A container's monitor: the parent of its PID 1, from the outside. */
function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
}

/** The command line's own process: the one whose arguments say `--name victim`. */
function commandLineOf(name: string): number {
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      if (args[0]?.endsWith('node') && args.includes('run') && args.includes(name))
        return Number(pid)
    } catch {
      // it ended
    }
  }
  throw new Error(`there is no command line of ${name}`)
}

/** Wait until the command has ended with this status, and see that the terminal is set as it was. */
async function expectEnd(terminal: Pane, status: number): Promise<void> {
  await terminal.until(new RegExp(`ended ${status}$`, 'm'))
  expect(terminal.mode()).toBe(before)
}

describe('pull', () => {
  it('draws a bar for each layer in place, also when the terminal changes its size', async () => {
    const layers = [1, 2, 3].map((number) => {
      return makeLayer({ [`file${number}`]: randomBytes(2_000_000) }, { compression: 'none' })
    })
    const registry = await createTestRegistry({ auth: 'token' })
    try {
      registry.addImage('team/big:1', makeImage({ layers }))
      const drip = { on: 'blob', type: 'drip', bytes: 20_000, everyMs: 20 } as const
      for (const { digest } of layers) registry.addFault({ ...drip, path: digest })
      const terminal = await open()
      terminal.type(`$cromwell pull ${registry.host}/team/big:1; echo ended $?`, 'Enter')
      await terminal.until(/^[0-9a-f]{12}: Downloading \[=+> +\] +\d\S*MB\/2(\.\d+)?MB \d+s$/m)
      for (const columns of [60, 120, 76, 100]) {
        terminal.resize(columns, 30)
        await new Promise((resolve) => setTimeout(resolve, 250))
      }
      await terminal.until(/^ended 0$/m)
      const layerLines = terminal.screen().match(/^[0-9a-f]{12}: .*$/gm)
      expect(layerLines).toEqual(
        layers.map(({ digest }) => `${digest.slice(7, 19)}: Pull complete`),
      )
      await expectEnd(terminal, 0)
    } finally {
      await registry.close()
    }
  })
})

describe('run -it', () => {
  it('gives the command a terminal of its own, of the size of ours', async () => {
    const terminal = await open()
    const script = 'test -t 0 && test -t 1 && test -t 2 && tty && stty size'
    terminal.type(`$run sh -c '${script}'; echo ended $?`, 'Enter')
    await terminal.until(/^\/dev\/pts\/0\n30 100$/m)
    await expectEnd(terminal, 0)
  })

  it('lets the command read lines, and its status be seen', async () => {
    const terminal = await open()
    const script = 'echo up; read -r line; echo "<$line>"; exit 5'
    terminal.type(`$run sh -c '${script}'; echo ended $?`, 'Enter')
    await terminal.until(/^up$/m)
    terminal.type('hello', 'Enter')
    await terminal.until(/^<hello>$/m)
    await expectEnd(terminal, 5)
  })

  it('passes Ctrl-C to the command, and restores the terminal', async () => {
    const terminal = await open()
    terminal.type(`$run sh -c 'echo up; exec sleep 600'; echo ended $?`, 'Enter')
    await terminal.until(/^up$/m)
    expect(terminal.mode()).not.toBe(before)
    terminal.type('C-c')
    await expectEnd(terminal, 130)
  })

  it('passes Ctrl-Z, Ctrl-\\ and Ctrl-D through as bytes', async () => {
    const terminal = await open()
    const script = 'stty raw -echo; echo up; head -c 3 | od -An -tx1'
    terminal.type(`$run sh -c '${script}'; echo ended $?`, 'Enter')
    await terminal.until(/^up/m)
    terminal.type('C-z', 'C-\\', 'C-d')
    await terminal.until(/1a 1c 04/)
    await expectEnd(terminal, 0)
  })

  it('follows the size of our terminal', async () => {
    const terminal = await open()
    const script = 'trap "stty size" WINCH; echo up; while :; do sleep 0.05; done'
    terminal.type(`$run sh -c '${script}'; echo ended $?`, 'Enter')
    await terminal.until(/^up$/m)
    terminal.resize(77, 22)
    await terminal.until(/^22 77$/m)
    terminal.type('C-c')
    await expectEnd(terminal, 130)
  })

  it('follows the size of a terminal that is somebody else’s, as after su', async (context) => {
    requires(context, 'plain-user', process.geteuid?.() !== 0, 'root may open every terminal')
    const terminal = await open()
    const script = 'stty size; trap "stty size" WINCH; while :; do sleep 0.05; done'
    terminal.type(`p=$(tty); chmod 0 $p; $run sh -c '${script}'; s=$?; chmod 600 $p; echo ended $s`)
    terminal.type('Enter')
    await terminal.until(/^30 100$/m)
    terminal.resize(99, 22)
    await terminal.until(/^22 99$/m)
    terminal.type('C-c')
    await expectEnd(terminal, 130)
  })

  it('restores the terminal when the command line is killed with -9, and the container dies', async () => {
    const terminal = await open()
    terminal.type(`$run --name victim sh -c 'echo up; exec sleep 600'; echo ended $?`, 'Enter')
    await terminal.until(/^up$/m)
    process.kill(commandLineOf('victim'), 'SIGKILL')
    await terminal.until(/ended 137/)
    await expect.poll(() => terminal.mode()).toBe(before)
    expect((await home.cromwell(['ps', '-q'])).stdout).toBe('')
  })

  it('restores the terminal when the monitor is killed with -9', async () => {
    const terminal = await open()
    terminal.type(`$run --name lost sh -c 'echo up; exec sleep 600'; echo ended $?`, 'Enter')
    await terminal.until(/^up$/m)
    // what it prints may be there before its record is
    const list = async () => (await home.cromwell(['ps', '--format', 'json'])).stdout
    await expect.poll(list).toContain('"Pid"')
    const [{ Pid }] = JSON.parse(await list())
    process.kill(parentOf(Pid), 'SIGKILL')
    await expectEnd(terminal, 125)
  })
})
