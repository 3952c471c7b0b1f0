import { canCreateUserNamespace, requires, requiresProgram } from '@cromwell/test-support'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { CROMWELL, type CromwellHome, createCromwellHome } from './support/cromwell.ts'
import { openPane, type Pane } from './support/tmux-pane.ts'

let home: CromwellHome
let pane: Pane | undefined

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
  pane.type('stty -a > $HOME/before', 'Enter')
  await pane.until(/\$ $/m)
  return pane
}

/** Whether the terminal is set as it was at first. */
async function expectRestored(terminal: Pane): Promise<void> {
  terminal.type('stty -a | cmp - $HOME/before && echo same" "as before', 'Enter')
  await terminal.until(/^same as before$/m)
}

describe('run -it', () => {
  it('gives the command a terminal of its own, of the size of ours', async () => {
    const terminal = await open()
    terminal.type(`$run sh -c 'test -t 0 && test -t 1 && test -t 2 && tty && stty size'`, 'Enter')
    await terminal.until(/^\/dev\/pts\/0\n30 100$/m)
    await expectRestored(terminal)
  })

  it('lets the command see each key, and the status of the command be seen', async () => {
    const terminal = await open()
    terminal.type(`$run sh -c 'read -r line; echo "<$line>"; exit 5'; echo status $?`, 'Enter')
    terminal.type('hello', 'Enter')
    await terminal.until(/^<hello>\nstatus 5$/m)
    await expectRestored(terminal)
  })

  it('passes Ctrl-C to the command, and restores the terminal', async () => {
    const terminal = await open()
    terminal.type(`$run sh -c 'echo up; exec sleep 600'; echo status $?`, 'Enter')
    await terminal.until(/^up$/m)
    terminal.type('C-c')
    await terminal.until(/^(\^C)?status 130$/m)
    await expectRestored(terminal)
  })

  it('passes Ctrl-Z, Ctrl-\\ and Ctrl-D through as bytes', async () => {
    const terminal = await open()
    terminal.type(`$run sh -c 'stty raw -echo; echo up; head -c 3 | od -An -tx1'`, 'Enter')
    await terminal.until(/^up/m)
    terminal.type('C-z', 'C-\\', 'C-d')
    await terminal.until(/1a 1c 04/)
    await expectRestored(terminal)
  })

  it('follows the size of our terminal', async () => {
    const terminal = await open()
    const script = 'trap "stty size" WINCH; echo up; while :; do sleep 0.05; done'
    terminal.type(`$run sh -c '${script}'`, 'Enter')
    await terminal.until(/^up$/m)
    terminal.resize(77, 22)
    await terminal.until(/^22 77$/m)
    terminal.type('C-c')
    await expectRestored(terminal)
  })

  it('restores the terminal when the command line is killed with -9', async () => {
    const terminal = await open()
    terminal.type(`$run --name victim sh -c 'echo up; exec sleep 600'`, 'Enter')
    await terminal.until(/^up$/m)
    await killCommandLine(terminal)
    await terminal.until(/Killed/)
    await expectRestored(terminal)
    terminal.type('$cromwell ps -q | wc -l', 'Enter')
    await terminal.until(/^0$/m)
  })

  it('restores the terminal when the monitor is killed with -9', async () => {
    const terminal = await open()
    terminal.type(`$run --name lost sh -c 'echo up; exec sleep 600'; echo status $?`, 'Enter')
    await terminal.until(/^up$/m)
    const { stdout } = await home.cromwell(['ps', '--format', 'json'])
    const [{ Pid }] = JSON.parse(stdout)
    process.kill(parentOf(Pid), 'SIGKILL')
    await terminal.until(/status \d+$/m)
    await expectRestored(terminal)
  })
})
