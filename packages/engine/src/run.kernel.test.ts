import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parsePlatform } from '@cromwell/registry/platform'
import { makeImage, makeIndex, symlink, whiteout } from '@cromwell/registry/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestEngine, type TestEngine } from './engine.test.fixture.ts'
import { hostImage, hostLayer } from './host-image.test.fixture.ts'

let t: TestEngine
let image: string
const base = hostLayer()

beforeAll(async () => {
  t = await createTestEngine()
  image = t.serve('test/base:1', hostImage(base, { config: { Env: ['FROM=image'] } }))
})
afterAll(() => t.close())

const sh = (script: string) => ['sh', '-c', script]

test('an image that is not here is pulled, unpacked and run; afterwards no registry is asked', async () => {
  expect(await t.run({ image, command: sh('echo out; echo err >&2; exit 3') })).toEqual({
    stdout: 'out\n',
    stderr: 'err\n',
    exitCode: 3,
  })
  expect(t.events.map(({ type }) => type)).toEqual(
    expect.arrayContaining(['pull-start', 'pull', 'unpack-start', 'unpack-done']),
  )
  const asked = t.registry.requests.length
  expect((await t.run({ image, command: ['true'] })).exitCode).toBe(0)
  expect(t.registry.requests).toHaveLength(asked)
})

test('an image that is here for another machine is warned of, and replaced by pulling ours', async () => {
  const other = process.arch === 'x64' ? 'linux/arm64' : 'linux/amd64'
  const foreign = makeImage({ layers: [base], platform: parsePlatform(other) })
  t.registry.addImage('test/both:1', makeIndex([hostImage(base), foreign]))
  const both = `${t.registry.host}/test/both:1`
  const warnings = () => t.events.filter(({ type }) => type === 'warning')
  await t.run({ image: both, platform: other, command: ['true'] })
  const before = warnings().length
  await t.run({ image: both, command: ['true'] })
  expect(warnings().slice(before)).toContainEqual(
    expect.objectContaining({ code: 'foreign-image', hint: expect.stringContaining(both) }),
  )
  await t.engine.pull(both)
  const after = warnings().length
  await t.run({ image: both, command: ['true'] })
  expect(warnings().slice(after)).not.toContainEqual(
    expect.objectContaining({ code: 'foreign-image' }),
  )
})

test('a container that is to be removed leaves nothing when it ends', async () => {
  await t.run({ image, command: sh('mkdir -p /a/b && touch /a/b/c /etc/d && rm /bin/id') })
  expect(t.leftovers()).toEqual([])
})

test('what one container writes no other sees', async () => {
  await t.run({ image, command: sh('rm /etc/passwd; echo x >/new') })
  const { stdout } = await t.run({ image, command: sh('ls /etc/passwd /new 2>&1') })
  expect(stdout).toMatch(/^\/etc\/passwd$/m)
  expect(stdout).toMatch(/\/new.*No such file/)
})

test('inside there are other processes, host name, ids and mounts than outside', async () => {
  const script =
    'echo /proc/[0-9]*; id -u; cat /proc/sys/kernel/hostname; cat /proc/1/comm; ls /home'
  const { stdout } = await t.run({ image, hostname: 'box', command: sh(script) })
  const [processes = '', uid, hostname, init] = stdout.split('\n')
  expect(processes.split(' ').length).toBeLessThan(5)
  expect([uid, hostname, init]).toEqual(['0', 'box', 'cromwell-init'])
})

test('the environment is the image’s and the options’, and nothing of the host', async () => {
  const { stdout } = await t.run({
    image,
    hostname: 'box',
    env: ['A=1'],
    workdir: '/made/for/it',
    command: sh('env; pwd'),
  })
  const lines = stdout.trim().split('\n')
  expect(lines.at(-1)).toBe('/made/for/it')
  expect(new Set(lines.slice(0, -1))).toEqual(
    new Set([
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'container=cromwell',
      'HOSTNAME=box',
      'FROM=image',
      'A=1',
      'HOME=/root',
      'PWD=/made/for/it',
    ]),
  )
})

test('entrypoint, command and user of the image are honoured and can be replaced', async () => {
  const config = { Entrypoint: ['sh', '-c', 'echo "$0" "$@"'], Cmd: ['one', 'two'] }
  const entry = t.serve('test/entry:1', hostImage(base, { config }))
  expect((await t.run({ image: entry })).stdout).toBe('one two\n')
  expect((await t.run({ image: entry, command: ['three'] })).stdout).toBe('three\n')
  const replaced = { entrypoint: ['cat'], command: ['/proc/sys/kernel/ostype'] }
  expect((await t.run({ image: entry, ...replaced })).stdout).toBe('Linux\n')
})

test('another user has its groups and no power; with one id it has that, and all files with it', async () => {
  const script =
    'id -u; id -g; id -G; cat /proc/self/status; touch /etc/x 2>/dev/null && echo yes || echo no'
  const { stdout } = await t.run({ image, user: 'www', command: sh(script) })
  const single = t.host.uid !== 0 && !t.host.subuid.includes(`${t.host.userName}:`)
  expect(stdout).toMatch(single ? /^33\n33\n33( 65534)*\n/ : /^33\n33\n33 50\n/)
  expect(stdout).toMatch(/^CapEff:\t0+$/m)
  expect(stdout).toMatch(single ? /yes\n$/ : /no\n$/)
})

test('a program that is not there, or cannot be executed, is told apart by the error', async () => {
  await expect(t.run({ image, command: ['nosuch'] })).rejects.toMatchObject({ code: 'ERR_NS_EXEC' })
  await expect(t.run({ image, command: ['/etc/passwd'] })).rejects.toMatchObject({
    code: 'ERR_NS_EXEC',
  })
  expect(t.leftovers()).toEqual([])
})

test('without a network there is loopback and nothing else', async () => {
  const { stdout } = await t.run({
    image,
    network: 'none',
    command: sh('ls /sys/class/net; cat /etc/resolv.conf'),
  })
  expect(stdout).toBe('lo\n# no network\n')
})

test('with a read-only root only the usual places can be written', async () => {
  const script =
    'for d in / /etc /run /tmp /var/tmp /dev/shm; do touch $d/x 2>/dev/null && echo $d; done'
  const { stdout } = await t.run({ image, readOnly: true, command: sh(script) })
  expect(stdout).toBe('/run\n/tmp\n/var/tmp\n/dev/shm\n')
})

test('volumes show what is on the host, and a read-only one stays as it is', async () => {
  mkdirSync(join(t.home, 'data', 'deep'), { recursive: true })
  writeFileSync(join(t.home, 'data', 'file'), 'hello\n')
  const script =
    'cat /rw/file /ro/file; echo new >/rw/made; touch /ro/x /ro/deep/x 2>/dev/null || echo no'
  const volumes = ['./data:/rw', `${t.home}/data:/ro:ro`]
  const { stdout } = await t.run({ image, volumes, command: sh(script) })
  expect(stdout).toBe('hello\nhello\nno\n')
  expect(readdirSync(join(t.home, 'data')).sort()).toEqual(['deep', 'file', 'made'])
})

test('hosts, hostname and resolv.conf can be written inside, and the image’s own stay untouched', async () => {
  const script =
    'echo "1.2.3.4 other" >>/etc/hosts; cat /etc/hosts /etc/hostname /run/.containerenv'
  const { stdout } = await t.run({ image, network: 'none', hostname: 'box', command: sh(script) })
  expect(stdout).toContain('127.0.0.1\tbox\n1.2.3.4 other\nbox\n')
  expect(stdout).toContain('engine="cromwell"')
})

// The original wrote the host's files through such links.
test('links in the image where our files go lead nowhere', async () => {
  const victim = join(t.home, 'victim')
  writeFileSync(victim, 'mine\n')
  const tree = {
    'etc/hosts': symlink(victim),
    'etc/resolv.conf': symlink('../../../../../../../../etc/passwd'),
    'run/.containerenv': symlink('/proc/1/environ'),
    'etc/hostname': whiteout(),
  }
  const evil = t.serve('test/evil:1', hostImage(base, { tree }))
  const before = readFileSync('/etc/passwd', 'utf8')
  const script = 'for f in hosts resolv.conf hostname; do echo x >>/etc/$f; done; true'
  expect((await t.run({ image: evil, command: sh(script) })).exitCode).toBe(0)
  expect(readFileSync(victim, 'utf8')).toBe('mine\n')
  expect(readFileSync('/etc/passwd', 'utf8')).toBe(before)
})

// runc CVE-2019-19921, CVE-2026-41579: places of ours that an image redirects.
test.each(['proc', 'sys', 'dev'])('an image in which /%s is a link is refused', async (name) => {
  const evil = t.serve(
    `test/evil-${name}:1`,
    hostImage(base, { tree: { [name]: symlink('/tmp') } }),
  )
  await expect(t.run({ image: evil, command: ['true'] })).rejects.toMatchObject({
    code: 'ERR_NS_SETUP',
    step: 'mnt',
  })
  expect(t.leftovers()).toEqual([])
})

// CVE-2023-25809, sandbox rule 13.
test('the cgroup tree of the host can be neither seen nor written', async () => {
  for (const network of ['host', 'none'] as const) {
    const script = 'ls -d /sys/fs/cgroup/*; mkdir /sys/fs/cgroup/x /sys/x 2>/dev/null || echo no'
    const { stdout } = await t.run({ image, network, command: sh(script) })
    expect(stdout).toMatch(/no\n$/)
    expect(stdout).not.toMatch(/systemd|memory\n|user\.slice/)
  }
})

test('an image that is not here and may not be pulled is an error that says what to do', async () => {
  await expect(t.run({ image: `${t.registry.host}/no/such:1`, pull: 'never' })).rejects.toThrow(
    expect.objectContaining({
      code: 'ERR_ENGINE_IMAGE_NOT_FOUND',
      hint: expect.stringContaining('cromwell pull'),
    }),
  )
})

test('a name that is taken, and every other mistake, leaves nothing behind', async () => {
  const holder = await t.engine.run({ image, name: 'web', command: ['sleep', '60'] })
  const mistakes = [
    { name: 'web' },
    { name: '-' },
    { volumes: ['./none:/x'] },
    { user: 'nobody-here' },
    { workdir: '/etc/passwd/x' },
    { command: ['/no/such'] },
    { hostname: 'no spaces' },
  ]
  for (const mistake of mistakes) {
    await expect(t.run({ image, command: ['true'], ...mistake })).rejects.toThrow()
  }
  await holder.remove()
  expect(t.leftovers()).toEqual([])
})

test('an abort ends the unpacking, and what was half done is gone', async () => {
  const tree = Object.fromEntries(
    Array.from({ length: 3000 }, (_, i) => [`big/${i}`, `${i}`.repeat(500)]),
  )
  const big = t.serve('test/big:1', hostImage(base, { tree }))
  await t.engine.pull(big)
  const before = readdirSync(join(t.home, 'layers'))
  const abort = new AbortController()
  const seen = t.events.length
  const running = t.run({ image: big, command: ['true'], signal: abort.signal })
  const watch = setInterval(() => {
    const now = t.events.slice(seen).some(({ type }) => type === 'unpack-start')
    if (now) abort.abort(new Error('enough'))
  }, 1)
  await expect(running).rejects.toThrow('enough')
  clearInterval(watch)
  expect(readdirSync(join(t.home, 'layers'))).toEqual(before)
  expect((await t.run({ image: big, command: ['cat', '/big/7'] })).stdout).toBe('7'.repeat(500))
})

test('an abort ends the container', async () => {
  const abort = new AbortController()
  const container = await t.engine.run({
    image,
    command: ['sleep', '60'],
    removeOnExit: true,
    signal: abort.signal,
  })
  abort.abort()
  expect(await container.wait()).toMatchObject({ exitCode: 137, signal: 'SIGKILL' })
  await container.remove()
  expect(t.leftovers()).toEqual([])
})

test('a terminal has the size it was given', async () => {
  const { stdout } = await t.run({
    image,
    command: sh('test -t 0 && test -t 1 && test -t 2 && echo $TERM && stty size'),
    terminal: { columns: 100, rows: 30 },
  })
  expect(stdout).toBe('xterm\r\n30 100\r\n')
})
