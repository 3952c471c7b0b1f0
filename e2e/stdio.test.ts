import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { canCreateUserNamespace, type RunResult, requires, run } from '@cromwell/test-support'
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

/** A shell on the outside; `$run` starts a container on this machine's own root. */
function shell(script: string, input = ''): Promise<RunResult> {
  const env = { ...home.env, run: `${CROMWELL} run --rm`, root: '--rootfs /' }
  return run('sh', ['-c', script], { env, input })
}

describe('stdin', () => {
  it('reaches the command with -i', async () => {
    expect(await shell('echo data | $run -i $root cat')).toEqual({
      status: 0,
      signal: null,
      stdout: 'data\n',
      stderr: '',
    })
  })

  // Importing clipanion touches process.stdin, and Node then makes its open file description non-blocking.
  it('reaches a command that has to wait for it', async () => {
    const result = await shell('{ sleep 0.5; echo late; } | $run -i $root cat')
    expect(result).toMatchObject({ status: 0, stdout: 'late\n', stderr: '' })
  })

  it('is as it was for who reads it next', async () => {
    const result = await shell('{ sleep 0.5; echo late; } | { $run $root true; cat; }')
    expect(result).toMatchObject({ status: 0, stdout: 'late\n', stderr: '' })
  })

  it('is not touched without -i: a loop over lines keeps its lines', async () => {
    const script = 'printf "a\\nb\\nc\\n" | while read -r line; do $run $root echo "$line"; done'
    expect(await shell(script)).toMatchObject({ status: 0, stdout: 'a\nb\nc\n', stderr: '' })
  })

  it('is at its end without -i', async () => {
    expect(await shell('$run $root cat', 'unread')).toMatchObject({ status: 0, stdout: '' })
  })

  it('passes megabytes unchanged, both ways', async () => {
    const data = randomBytes(6_000_000).toString('hex')
    const result = await shell('$run -i $root cat', data)
    expect(digest(result.stdout)).toBe(digest(data))
  })

  it('may stay unread', async () => {
    expect(await shell('yes | head -100000 | $run -i $root true')).toMatchObject({ status: 0 })
  })
})

describe('stdout and stderr', () => {
  it('stay apart', async () => {
    const result = await shell(`$run $root sh -c 'echo out; echo err >&2'`)
    expect(result).toMatchObject({ status: 0, stdout: 'out\n', stderr: 'err\n' })
  })

  it('are the caller’s own where they are files', async () => {
    const result = await shell(
      `$run $root sh -c 'echo one; echo two' > "$HOME/out"; cat "$HOME/out"`,
    )
    expect(result.stdout).toBe('one\ntwo\n')
  })

  it('end the command when nobody reads them any more', async () => {
    const result = await shell('$run $root yes | head -2')
    expect(result).toMatchObject({ status: 0, stdout: 'y\ny\n', stderr: '' })
  })
})

describe('the exit status', () => {
  it.each([
    ["sh -c 'exit 3'", 3],
    ["sh -c 'kill -KILL $$'", 137],
    ["sh -c 'kill -TERM $$'", 143],
    ['no-such-program', 127],
    ['/no/such/program', 127],
    ['/etc', 126],
    ['/etc/passwd', 126],
  ])('of %s is %d', async (command, status) => {
    expect((await shell(`$run $root ${command}`)).status).toBe(status)
  })

  it.each([
    ['a working directory that is a file', '-w /etc/passwd', 126],
    ['a user that the image does not have', '-u nobody-knows', 126],
    ['a volume that does not exist', '-v /no/such:/x', 125],
  ])('for %s is that of docker', async (_what, flags, status) => {
    const result = await shell(`$run ${flags} $root true`)
    expect(result.status).toBe(status)
    expect(result.stderr).toMatch(/^cromwell: /)
    expect(result.stderr).not.toMatch(/^ +at /m)
  })
})

describe('a signal', () => {
  it.each([
    ['SIGTERM', 'TERM'],
    ['SIGINT', 'INT'],
    ['SIGHUP', 'HUP'],
    ['SIGUSR1', 'USR1'],
  ] as const)('%s is passed on to the command', async (signal, name) => {
    const script = `trap 'echo got ${name}; exit 7' ${name}; echo ready; while :; do sleep 0.05; done`
    const child = spawn(CROMWELL, ['run', '--rm', '--rootfs', '/', 'sh', '-c', script], {
      env: home.env,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
      if (chunk.includes('ready')) child.kill(signal)
    })
    expect(await once(child, 'close')).toEqual([7, null])
    expect(output).toBe(`ready\ngot ${name}\n`)
  })
})

function digest(data: string): string {
  return createHash('sha256').update(data).digest('hex')
}
