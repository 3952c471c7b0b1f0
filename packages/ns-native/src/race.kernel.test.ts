import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { canCreateUserNamespace, requires, requiresProgram } from '@cromwell/test-support'
import { beforeEach, expect, onTestFinished, type TestContext, test } from 'vitest'
import { containerSpec, runSpec, singleId, temporaryDirectory } from './container.test.fixture.ts'
import { SetupError } from './errors.ts'
import { hostSystemMounts } from './host-system.ts'
import type { LaunchSpec, Mount } from './launch-spec.ts'

// The author of an image that is shared with a running container can rename things in it while the
// next one starts (CVE-2021-30465, CVE-2024-45310). Two processes, one on each processor, exchange
// mount targets and their parents for links to the outside, as fast as the kernel does it.

/** How many containers to start; as many as there is time for unless given. */
const TRIES = Number(process.env['CROMWELL_RACE_TRIES'] ?? 0)
const TIME_MS = 6000
const AT_ONCE = 3
/** In each of them: existing ones, and as many that have to be made. */
const TARGETS = 20

beforeEach((context) => {
  requires(context, 'user-namespaces', canCreateUserNamespace(), 'this user may not create one')
})

function compileSwapper(context: TestContext): string {
  const compiler = requiresProgram(context, 'cc')
  const program = join(temporaryDirectory(), 'race-swap')
  const code = fileURLToPath(new URL('./race-swap.c', import.meta.url))
  const built = spawnSync(compiler, ['-O2', '-o', program, code], { encoding: 'utf8' })
  requires(context, 'cc', built.status === 0, `cannot compile ${code}: ${built.stderr}`)
  return program
}

/** Exchange each of these with its `.link`, until the test ends. */
async function swap(program: string, cpu: number, paths: readonly string[]): Promise<ChildProcess> {
  const processor = String(cpu % availableParallelism())
  const child = spawn(program, [processor, ...paths], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  if (child.stdout === null) throw new Error('a pipe was asked for')
  await once(child.stdout, 'data')
  return child
}

/** Everything in a directory, with its times and contents: what would show that it was touched. */
function everythingIn(top: string): string[] {
  return readdirSync(top, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const { mode, ino, size, ctimeNs } = lstatSync(join(top, name), { bigint: true })
      return [name, mode, ino, size, ctimeNs].join(' ')
    })
}

interface Tally {
  started: number
  refused: Map<string, number>
}

/** Start containers until time or number is up; what each prints is looked at. */
async function startMany(spec: LaunchSpec, look: (stdout: string) => void): Promise<Tally> {
  const tally: Tally = { started: 0, refused: new Map() }
  const end = Date.now() + TIME_MS
  let tries = 0
  const one = async (): Promise<void> => {
    while (TRIES > 0 ? tries++ < TRIES : Date.now() < end) {
      try {
        look((await runSpec(spec)).stdout)
        tally.started++
      } catch (error) {
        if (!(error instanceof SetupError)) throw error
        const why = `${error.step} ${error.errno}`
        tally.refused.set(why, (tally.refused.get(why) ?? 0) + 1)
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, one))
  return tally
}

/**
 * A host directory that links lead to, shaped like the image so that nothing looks wrong there; and
 * the same inside the image, so that a link which is followed as the container would see it works.
 */
function outsideLike(image: string, names: readonly string[]): string {
  const outside = temporaryDirectory()
  for (const top of [outside, join(image, outside)])
    for (const name of names) mkdirSync(join(top, name), { recursive: true })
  writeFileSync(join(outside, 'file'), 'of the host')
  return outside
}

function spec(image: string, mounts: readonly Mount[]): LaunchSpec {
  const { hostname: _, ...base } = containerSpec(['/bin/cat', '/mounts/self/mountinfo'])
  return {
    ...base,
    namespaces: ['user', 'mount', 'pid'],
    idMapping: singleId,
    root: { path: image },
    mounts: [...hostSystemMounts({ etc: [] }), { type: 'proc', destination: '/mounts' }, ...mounts],
    maskedPaths: [],
    readonlyPaths: [],
  }
}

const RACE_TIMEOUT_MS = 60_000 + TRIES * 100

test(
  'targets and parents swapped for links while containers start: nothing outside is mounted on or made',
  async (context) => {
    const program = compileSwapper(context)
    const image = temporaryDirectory()
    const targets = Array.from({ length: TARGETS }, (_, index) => `t${index}`)
    const names = [...targets, 'masked', 'ro', 'made', 'a'].flatMap((n) => [
      n,
      `in/${n}`,
      `top/in/${n}`,
    ])
    const outside = outsideLike(image, names)
    mkdirSync(join(image, 'mounts'))
    // the parents of the targets, and the targets
    for (const name of ['top/in', ...[...targets, 'masked', 'ro'].map((n) => `top/in/${n}`)]) {
      mkdirSync(join(image, name), { recursive: true })
      symlinkSync(join(outside, 'in'), join(image, `${name}.link`))
    }
    symlinkSync(outside, join(image, 'top.link'))
    const before = everythingIn(outside)
    const tmpfs = (destination: string, index: number): Mount => {
      return { type: 'tmpfs', destination, sizeBytes: (index + 1) << 20 }
    }
    const base = spec(image, [
      ...targets.map((name, index) => tmpfs(`/top/in/${name}`, index)),
      ...targets.map((name, index) => tmpfs(`/top/in/${name}-new/deep`, TARGETS + index)),
      { type: 'file', destination: '/top/in/made/file', content: 'ours' },
      { type: 'symlink', destination: '/top/in/a/link', target: 'x' },
    ])
    const racing: LaunchSpec = {
      ...base,
      maskedPaths: ['/top/in/masked'],
      readonlyPaths: ['/top/in/ro'],
      process: { ...base.process, cwd: '/top/in/work' },
    }
    const swapped = [...targets, 'masked', 'ro'].map((name) => join(image, 'top/in', name))
    const swappers = [
      await swap(program, 0, swapped),
      await swap(program, 1, [join(image, 'top'), join(image, 'top/in')]),
    ]
    const tally = await startMany(racing, (mountinfo) => {
      // A mount that went outside would have gone with the old root.
      const sizes = new Set([...mountinfo.matchAll(/[ ,]size=(\d+)k/g)].map(([, size]) => size))
      const wanted = Array.from({ length: 2 * TARGETS }, (_, index) => String((index + 1) << 10))
      expect(wanted.filter((size) => !sizes.has(size))).toEqual([])
    })
    for (const { exitCode } of swappers) expect(exitCode).toBe(null) // to the end
    expect(everythingIn(outside)).toEqual(before)
    // It is worth nothing if it never happens.
    expect(tally.started).toBeGreaterThan(20)
    for (const why of tally.refused.keys()) expect(why).toMatch(/^(mnt|mask|ro|cwd|cwd\.create) /)
  },
  RACE_TIMEOUT_MS,
)

test(
  '/dev, /proc and /sys swapped for links while containers start are never followed',
  async (context) => {
    const program = compileSwapper(context)
    const image = temporaryDirectory()
    const outside = outsideLike(image, ['self', 'pts', 'kernel'])
    for (const name of ['dev', 'proc', 'sys', 'mounts']) {
      mkdirSync(join(image, name))
      symlinkSync(outside, join(image, `${name}.link`))
    }
    const before = everythingIn(outside)
    const base = spec(image, [
      { type: 'proc', destination: '/proc' },
      { type: 'sysfs', destination: '/sys', readonly: true },
      { type: 'dev', destination: '/dev' },
    ])
    const racing: LaunchSpec = {
      ...base,
      namespaces: [...base.namespaces, 'network'],
      process: { ...base.process, terminal: { columns: 80, rows: 24 } },
    }
    const swappers = [
      await swap(program, 0, [join(image, 'dev')]),
      await swap(
        program,
        1,
        ['proc', 'sys'].map((name) => join(image, name)),
      ),
    ]
    const tally = await startMany(racing, (mountinfo) => {
      for (const type of ['proc', 'sysfs', 'devpts'])
        expect(mountinfo).toContain(` - ${type} ${type} `)
      expect(mountinfo).not.toContain(outside)
      expect(mountinfo.match(/ \/dev(\.link)?\/null /g)).toHaveLength(1)
    })
    for (const { exitCode } of swappers) expect(exitCode).toBe(null) // to the end
    expect(everythingIn(outside)).toEqual(before)
    expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('of the host')
    expect(tally.started).toBeGreaterThan(0)
    const ELOOP = 40
    expect(tally.refused.get(`mnt ${ELOOP}`)).toBeGreaterThan(0)
    for (const why of tally.refused.keys()) expect(why).toMatch(/^(mnt|pty) /)
  },
  RACE_TIMEOUT_MS,
)
