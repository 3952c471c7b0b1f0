// Feeds what the helper decodes with inputs that nobody meant, under AddressSanitizer and UBSan:
//   node scripts/fuzz.mjs [--seconds N]   libFuzzer for N seconds (25); needs clang and its runtime
//                                         (Debian: apt-get install clang libclang-rt-14-dev)
//   node scripts/fuzz.mjs --changes N     N random changes of each seed, with any compiler
// Seeds are messages as this package writes them, built by `npm run build` before. A crash is kept
// beside the printed path, and run again by giving that path instead.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seeds, tokens } from './fuzz-seeds.mjs'

const root = join(import.meta.dirname, '..')
const init = join(root, 'native/init')
const fuzz = join(root, 'native/fuzz')
const SANITIZERS = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all']
const seconds = option('--seconds') ?? '25'
const changes = option('--changes')
const again = process.argv.slice(2).filter((text) => text.startsWith('/'))

const directory = mkdtempSync(join(tmpdir(), 'cromwell-fuzz-'))
let status = 1
try {
  const corpus = join(directory, 'corpus')
  mkdirSync(corpus)
  for (const [n, bytes] of seeds().entries()) writeFileSync(join(corpus, `seed-${n}`), bytes)
  const files = again.length > 0 ? again : readdirSync(corpus).map((name) => join(corpus, name))
  if (changes !== undefined) {
    const driver = build('cc', [join(fuzz, 'driver.c')], [])
    status = run(driver, [changes, '1', ...files])
  } else {
    const fuzzer = build('clang', [], ['-fsanitize=fuzzer'])
    const dictionary = join(directory, 'tokens')
    writeFileSync(dictionary, tokens())
    const crashes = join(tmpdir(), 'cromwell-crash-')
    const limits = [`-max_total_time=${seconds}`, '-max_len=8192', '-timeout=5', '-verbosity=0']
    status = run(
      fuzzer,
      again.length > 0
        ? again
        : [
            ...limits,
            `-dict=${dictionary}`,
            `-artifact_prefix=${crashes}`,
            '-print_final_stats=1',
            corpus,
          ],
    )
  }
} finally {
  rmSync(directory, { recursive: true, force: true })
}
process.exit(status)

// Everything but the entry and the memory functions, which the sanitizers bring.
function build(compiler, more, flags) {
  const sources = readdirSync(init)
    .filter((name) => name.endsWith('.c') && !['main.c', 'memory.c', 'message.c'].includes(name))
    .map((name) => join(init, name))
  const program = join(directory, 'fuzz')
  const all = [
    ...SANITIZERS,
    ...flags,
    '-std=gnu11',
    '-ffreestanding',
    '-O1',
    '-g',
    '-Wall',
    '-Wno-unused-result',
  ]
  const { status, stderr, error } = spawnSync(
    process.env.CC ?? compiler,
    [...all, join(fuzz, 'decode.c'), ...more, ...sources, '-o', program],
    { encoding: 'utf8' },
  )
  if (status !== 0) throw new Error(`cannot build the fuzzer: ${error ?? stderr}`)
  return program
}

function run(program, args) {
  return spawnSync(program, args, { stdio: 'inherit' }).status ?? 1
}

function option(name) {
  const index = process.argv.indexOf(name)
  return index < 0 ? undefined : process.argv[index + 1]
}
