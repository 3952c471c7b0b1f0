import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { canCreateUserNamespace, requires } from '@cromwell/test-support'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { FilePolicy, Policy } from './policy.ts'
import { sandbox } from './sandbox.ts'

let top: string
let project: string
const environment = { ...process.env }

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
  // not below /tmp, which sandboxes have one of their own of
  top = realpathSync(mkdtempSync('/var/tmp/cromwell-sandbox-'))
  project = join(top, 'project')
  for (const name of ['project/src', 'home/.ssh', 'tmp']) {
    mkdirSync(join(top, name), { recursive: true })
  }
  writeFileSync(join(project, 'src/main'), 'main')
  writeFileSync(join(project, '.env'), 'SECRET')
  writeFileSync(join(top, 'home/.ssh/key'), 'KEY')
  process.env['TMPDIR'] = join(top, 'tmp')
  process.env['HOME'] = join(top, 'home')
})
afterEach(() => {
  Object.assign(process.env, { TMPDIR: environment['TMPDIR'], HOME: environment['HOME'] })
  if (environment['TMPDIR'] === undefined) delete process.env['TMPDIR']
  rmSync(top, { recursive: true, force: true })
})

/** What a shell script prints in a sandbox with these files. */
async function look(files: FilePolicy, script: string, policy: Policy = {}): Promise<string> {
  const box = await sandbox({ ...policy, files })
  onTestFinished(() => box.close())
  const { stdout, stderr } = await box.run('/bin/sh', ['-c', script])
  return stdout + stderr
}

const refused = (files: FilePolicy) => sandbox({ files }).catch((error: unknown) => error)

describe('files', () => {
  test('nothing of the host is visible but the system', async () => {
    const output = await look({}, `cat ${project}/src/main; ls ${top}; pwd`)
    expect(output.match(/No such file/g)).toHaveLength(2)
    expect(output).toMatch(/^\/tmp$/m)
  })

  test('readOnly is seen and not written, readWrite is written on the host', async () => {
    const script = `cat ${project}/src/main; echo x > ${project}/src/new; echo y > ${top}/home/new`
    expect(await look({ readOnly: [project], readWrite: [join(top, 'home')] }, script)).toMatch(
      /^main.*Read-only file system/s,
    )
    expect(readFileSync(join(top, 'home/new'), 'utf8')).toBe('y\n')
    expect(existsSync(join(project, 'src/new'))).toBe(false)
  })

  test('a URL, ~ and a path with .. mean what they say', async () => {
    expect(
      await look(
        { readOnly: [pathToFileURL(join(project, 'src')), '~/.ssh'] },
        [`cat ${project}/src/main ${top}/home/.ssh/key`].join(),
      ),
    ).toBe('mainKEY')
    // the kernel's meaning, not that of the text: the parent of where the link leads
    symlinkSync(join(project, 'src'), join(top, 'link'))
    expect(await look({ readOnly: [`${top}/link/../src`] }, `cat ${project}/src/main`)).toBe('main')
  })

  test('a link leads inside to what it leads to outside', async () => {
    symlinkSync(project, join(top, 'link'))
    const script = `cat ${top}/link/src/main; readlink ${top}/link`
    expect(await look({ readOnly: [join(top, 'link')] }, script)).toBe(`main${project}\n`)
  })

  test('scratch is writable, empty, and gone afterwards', async () => {
    const box = await sandbox({ files: { scratch: [{ path: '/tmp', size: '1M' }, '/var/cache'] } })
    const script = 'ls /tmp /var/cache; echo x > /tmp/a; head -c 2000000 /dev/zero > /tmp/b'
    for (let i = 0; i < 2; i++) {
      const { stdout, stderr } = await box.run('/bin/sh', ['-c', script])
      expect(stdout).toBe('/tmp:\n\n/var/cache:\n')
      expect(stderr).toContain('No space left')
    }
    await box.close()
  })
})

// The traps that others fell into.
describe('hiding', () => {
  test('a hidden directory is empty and cannot be written to', async () => {
    const files: FilePolicy = { readWrite: ['~'], hide: ['~/.ssh'] }
    const script = 'cd ~/.ssh && ls -A && touch x; mkdir ~/.ssh/y; chmod 700 ~/.ssh; ls -A ~/.ssh'
    const policy = { env: { set: { HOME: join(top, 'home') } } }
    const output = await look(files, script, policy)
    expect(output).not.toContain('key')
    expect(output.match(/Read-only file system/g)).toHaveLength(3)
    expect(readdirSync(join(top, 'home/.ssh'))).toEqual(['key'])
  })

  test('a hidden file is empty, and stays what it was on the host', async () => {
    const script = `cat ${project}/.env; echo stolen > ${project}/.env; rm ${project}/.env; mv ${project}/.env ${project}/e; mv ${project} ${top}/p`
    expect(await look({ readWrite: [project], hide: [join(project, '.env')] }, script)).not.toMatch(
      /SECRET/,
    )
    expect(readFileSync(join(project, '.env'), 'utf8')).toBe('SECRET')
  })

  test('what is writable in what is hidden is writable, in whatever order they are written', async () => {
    const nested = join(project, 'src')
    const script = `ls -A ${project}; cat ${nested}/main; echo new > ${nested}/new; touch ${project}/x`
    const output = await look({ readOnly: [top], hide: [project], readWrite: [nested] }, script)
    expect(output).toMatch(/^src\nmain.*Read-only file system\n$/s)
    expect(readFileSync(join(nested, 'new'), 'utf8')).toBe('new\n')
  })

  test('what is hidden in what is writable in what is hidden is hidden', async () => {
    mkdirSync(join(project, 'src/deep'))
    writeFileSync(join(project, 'src/deep/secret'), 'SECRET')
    const files: FilePolicy = {
      readOnly: [top],
      hide: [project, join(project, 'src/deep')],
      readWrite: [join(project, 'src')],
    }
    expect(await look(files, `ls ${project}/src ${project}/src/deep`)).toBe(
      `${project}/src:\ndeep\nmain\n\n${project}/src/deep:\n`,
    )
  })

  test('a pattern hides what it matches anywhere, dotfiles and links’ targets too', async () => {
    mkdirSync(join(project, 'packages/one'), { recursive: true })
    writeFileSync(join(project, 'packages/one/.env'), 'SECRET')
    writeFileSync(join(project, 'hidden-by-link'), 'SECRET')
    symlinkSync('../../hidden-by-link', join(project, 'packages/one/.env.local'))
    const files = { readWrite: [project], hide: ['**/.env', '**/.env.*'] }
    expect(await look(files, `find ${project} -type f -exec cat {} +`)).toBe('main')
  })

  test('a pattern is looked up anew each time a program starts', async () => {
    const box = await sandbox({ files: { readWrite: [project], hide: ['**/*.key'] } })
    onTestFinished(() => box.close())
    writeFileSync(join(project, 'new.key'), 'SECRET')
    expect((await box.run('cat', [join(project, 'new.key')])).stdout).toBe('')
  })

  test('a directory that cannot be looked into is hidden whole by a pattern', async (context) => {
    requires(context, 'plain-user', process.getuid?.() !== 0, 'root may look into any')
    mkdirSync(join(project, 'closed'), { mode: 0o300 })
    writeFileSync(join(project, 'closed/.env'), 'SECRET')
    const script = `chmod 700 ${project}/closed; cat ${project}/closed/.env`
    const output = await look({ readWrite: [project], hide: ['**/.env'] }, script)
    chmodSync(join(project, 'closed'), 0o700)
    expect(output).not.toMatch(/SECRET/)
  })

  test('a hidden path is hidden by every name that it has', async () => {
    symlinkSync(join(top, 'home/.ssh'), join(top, 'keys'))
    const script = `cat ${top}/keys/key ${top}/home/.ssh/key`
    expect(await look({ readOnly: [top], hide: [join(top, 'keys')] }, script)).not.toMatch(/KEY/)
  })

  test('what belongs to the system can be hidden, too', async () => {
    expect(await look({ hide: ['/usr/share'] }, 'ls -A /usr/share')).toBe('')
  })

  test('protected paths in a writable directory are read-only, and those that do not exist are not made', async () => {
    mkdirSync(join(project, '.git/hooks'), { recursive: true })
    const files = { readWrite: [project], protect: ['**/.git/hooks', join(project, '.vscode')] }
    const script = `touch ${project}/.git/hooks/pre-commit; touch ${project}/ok`
    expect(await look(files, script)).toContain('Read-only file system')
    expect(readdirSync(project).sort()).toEqual(['.env', '.git', 'ok', 'src'])
  })

  test('nothing is ever made in a directory of the host: a missing mount point is an error', async () => {
    const missing = join(project, 'cache')
    expect(await refused({ readWrite: [project], scratch: [missing] })).toMatchObject({
      name: 'PolicyError',
      pointer: '/files/scratch/0',
    })
    expect(existsSync(missing)).toBe(false)
  })

  test('a pattern where only paths can stand is an error, not a path that does not exist', async () => {
    for (const group of ['readOnly', 'readWrite', 'overlay', 'scratch'] as const) {
      const error = await refused({ [group]: [join(project, '*')] })
      expect(error).toMatchObject({ pointer: `/files/${group}/0`, remedy: expect.anything() })
    }
  })

  test('a name with a star in it can be given as a URL', async () => {
    writeFileSync(join(project, '*'), 'star')
    const url = pathToFileURL(join(project, '*'))
    expect(await look({ readOnly: [url] }, `cat ${project}/*`)).toBe('star')
  })

  test('a path that does not exist, or is named twice, is an error', async () => {
    expect(await refused({ readOnly: [join(top, 'nothing')] })).toMatchObject({
      pointer: '/files/readOnly/0',
      message: expect.stringContaining('there is no'),
    })
    expect(
      await refused({ readOnly: [project], readWrite: [`${project}/../project`] }),
    ).toMatchObject({
      pointer: '/files/readWrite/0',
      message: expect.stringContaining('/files/readOnly/0'),
    })
  })

  test('what the sandbox keeps for itself is not visible, even where its directory is', async () => {
    const files = { readWrite: [top], hide: [project], readOnly: [join(project, 'src')] }
    const script = `find ${top}/tmp -mindepth 2; ls ${top}/tmp | wc -l`
    expect(await look(files, script)).toBe('1\n')
  })
})

describe('an overlay', () => {
  const script = `echo changed > ${'$'}1/src/main; rm ${'$'}1/.env; echo new > ${'$'}1/new`
  const start = async () => {
    const box = await sandbox({ files: { overlay: [project] } })
    onTestFinished(() => box.close())
    expect(await box.run('/bin/sh', ['-c', script, 'sh', project])).toMatchObject({ ok: true })
    expect(readFileSync(join(project, 'src/main'), 'utf8')).toBe('main')
    return box
  }

  test('keeps what is written, tells it, and makes it so on the host when told to', async () => {
    const box = await start()
    expect((await box.run('cat', [join(project, 'src/main')])).stdout).toBe('changed\n')
    const changes: string[] = []
    for await (const { type, path } of box.changes()) changes.push(`${type} ${path}`)
    expect(changes.sort()).toEqual([
      `add ${project}/new`,
      `delete ${project}/.env`,
      `modify ${project}/src/main`,
    ])
    await box.commit()
    expect(readdirSync(project).sort()).toEqual(['new', 'src'])
    expect(readFileSync(join(project, 'src/main'), 'utf8')).toBe('changed\n')
    expect((await box.changes().next()).done).toBe(true)
  })

  test('forgets what was written when told to, and when it is closed', async () => {
    const box = await start()
    await box.discard()
    expect((await box.run('cat', [join(project, 'src/main')])).stdout).toBe('main')
    await box.close()
    expect(readdirSync(join(top, 'tmp'))).toEqual([])
    expect(readdirSync(project).sort()).toEqual(['.env', 'src'])
  })

  test('has one program at a time, and others beside that', async () => {
    const box = await start()
    const child = box.spawn('sleep', ['100'])
    await child.spawned
    expect(() => box.spawn('true')).toThrow(expect.objectContaining({ name: 'UnsupportedError' }))
    expect(
      await child.exec('cat', [join(project, 'new')], { collectBytes: 9 }).result,
    ).toMatchObject({
      stdout: 'new\n',
    })
    // before its directory goes, which it keeps busy
    await box.close()
  })
})

test('user namespaces cannot be made inside, unless that is allowed', async () => {
  const count = async (policy: Policy) => {
    const box = await sandbox(policy)
    onTestFinished(() => box.close())
    return (await box.run('unshare', ['-U', 'true'])).exitCode
  }
  expect(await count({})).not.toBe(0)
  expect(await count({ seccomp: 'none' })).not.toBe(0)
  expect(await count({ nestedNamespaces: true })).toBe(0)
})

test('a seccomp profile is taken as docker and OCI have them', async () => {
  const box = await sandbox({
    seccomp: {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 28 }],
    },
  })
  onTestFinished(() => box.close())
  expect((await box.run('mkdir', ['/tmp/x'])).stderr).toContain('No space left on device')
})

test('the root can be shown as a whole, without what is the kernel’s', async () => {
  const output = await look(
    { readOnly: ['/'], hide: [project] },
    `ls ${project}; ls ${top}; ls /proc/1/root /tmp; touch /x`,
  )
  expect(output).toContain('home')
  expect(output).not.toContain('src')
  expect(output).toContain('Read-only file system')
})

test('the environment is what the policy says', async () => {
  process.env['CROMWELL_PASSED'] = 'yes'
  const box = await sandbox({
    env: { pass: ['CROMWELL_PASSED', 'CROMWELL_NOT_THERE'], set: { CI: '1' } },
  })
  onTestFinished(() => box.close())
  const { stdout } = await box.run('env', [], { env: { MORE: '2' } })
  const names = stdout
    .trim()
    .split('\n')
    .map((line) => line.split('=')[0])
  expect(names.sort()).toEqual(['CI', 'CROMWELL_PASSED', 'HOME', 'MORE', 'PATH'])
})

test('programs start in the caller’s directory where they can see it, else in /tmp', async () => {
  const here = process.cwd()
  expect(await look({ readOnly: [here] }, 'pwd')).toBe(`${here}\n`)
  expect(await look({}, 'pwd')).toBe('/tmp\n')
  expect(await look({ readOnly: [project] }, 'pwd', { cwd: project })).toBe(`${project}\n`)
})

test('each program is on its own: no processes, /tmp or network of another', async () => {
  const box = await sandbox()
  onTestFinished(() => box.close())
  const first = box.spawn('/bin/sh', ['-c', 'echo x > /tmp/x; echo ready; sleep 100'])
  await new Promise((resolve) => first.stdout?.once('data', resolve))
  const { stdout } = await box.run('/bin/sh', ['-c', 'ls /tmp; ls -d /proc/[0-9]* | wc -l'])
  expect(stdout).toMatch(/^[1-5]\n$/)
})

test('exec runs a program beside another, with the policy of the sandbox', async () => {
  const box = await sandbox({ env: { set: { WHO: 'me' } } })
  onTestFinished(() => box.close())
  const first = box.spawn('/bin/sh', ['-c', 'echo x > /tmp/x; echo ready; sleep 100'])
  await new Promise((resolve) => first.stdout?.once('data', resolve))
  const script =
    'cat /tmp/x; echo $WHO; touch /y; grep -c . /proc/self/status; grep Seccomp: /proc/self/status'
  const { stdout, stderr, exitCode } = await first.exec('/bin/sh', ['-c', script], {
    collectBytes: 1000,
  }).result
  expect(stdout).toMatch(/^x\nme\n\d+\nSeccomp:\t2\n$/)
  expect(stderr).toContain('Read-only')
  expect(exitCode).toBe(0)
})

test('run takes input, and gives output, status and the policy that was in force', async () => {
  const box = await sandbox()
  onTestFinished(() => box.close())
  const result = await box.run('/bin/sh', ['-c', 'cat; echo wrong >&2; exit 3'], { input: 'in' })
  expect(result).toMatchObject({
    ok: false,
    exitCode: 3,
    signal: null,
    reason: 'exit',
    stdout: 'in',
    stderr: 'wrong\n',
    truncated: false,
    usage: { source: { userMs: 'rusage' } },
    policy: {
      ids: 'single',
      network: 'own',
      capabilities: [],
      noNewPrivileges: true,
      seccomp: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
      degraded: [],
    },
  })
  expect(result.policy.namespaces).toEqual(
    expect.arrayContaining(['user', 'mount', 'pid', 'network', 'ipc', 'uts', 'cgroup']),
  )
})

test('a program that cannot be started rejects, one that fails does not', async () => {
  const box = await sandbox()
  onTestFinished(() => box.close())
  await expect(box.run('/nonexistent')).rejects.toMatchObject({ name: 'ExecError' })
  expect(await box.run('false')).toMatchObject({ ok: false, exitCode: 1 })
})

test('a port inside is published on the host', async () => {
  const box = await sandbox({ preset: 'test', files: { readOnly: [] } })
  onTestFinished(() => box.close())
  const script = `require('http').createServer((_, r) => r.end('hello')).listen(8080, () => console.log('ready'))`
  const server = box.spawn('node', ['-e', script])
  await new Promise((resolve) => server.stdout?.once('data', resolve))
  const { port } = await box.publish(8080)
  expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('hello')
})

test('closing ends all programs and leaves nothing', async () => {
  const box = await sandbox({
    files: { readOnly: [top], hide: [project], readWrite: [join(project, 'src')] },
  })
  const child = box.spawn('sleep', ['100'])
  await child.spawned
  expect(readdirSync(join(top, 'tmp'))).toHaveLength(1)
  await box.close()
  expect(child.signalCode).toBe('SIGKILL')
  expect(readdirSync(join(top, 'tmp'))).toEqual([])
  expect(() => box.spawn('true')).toThrow(/closed/)
})

test.each([
  [{ filez: {} }, '/filez'],
  [{ files: { readonly: ['/'] } }, '/files/readonly'],
  [{ net: { mode: 'nnoe' } }, '/net/mode'],
  [{ net: { mode: 'none', alow: [] } }, '/net/alow'],
  [{ preset: 'strickt' }, '/preset'],
  [{ allowDegraded: ['everything'] }, '/allowDegraded/0'],
  [{ files: ['/'] }, '/files'],
])('a policy with a word that does not exist is refused: %j', async (policy, pointer) => {
  await expect(sandbox(policy as Policy)).rejects.toMatchObject({ name: 'PolicyError', pointer })
})

test('a hundred sandboxes at once do not disturb each other', async () => {
  const numbers = Array.from({ length: 100 }, (_, index) => String(index))
  const outputs = await Promise.all(
    numbers.map(async (number) => {
      const box = await sandbox({ hostname: `box-${number}` })
      const { stdout } = await box.run('hostname')
      await box.close()
      return stdout
    }),
  )
  expect(outputs).toEqual(numbers.map((number) => `box-${number}\n`))
  expect(tmpdir()).toBe(join(top, 'tmp'))
})
