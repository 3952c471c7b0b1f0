// Builds prebuilds/linux-<arch>/: the static helper and the addon, with nothing but a C and a C++
// compiler and kernel headers. No arguments: this machine. --arch x64|arm64: that one, by the
// Debian-style cross compiler (or CC and CXX) where it is not this machine's.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const HELPER_LIMIT_BYTES = 100_000
const TRIPLES = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }
const require = createRequire(import.meta.url)
const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const initDirectory = join(root, 'native', 'init')
const addonDirectory = join(root, 'native', 'addon')

const arch = argument('--arch') ?? process.arch
if (!(arch in TRIPLES)) fail(`no build for ${arch}: use --arch x64 or --arch arm64`)
const target = join(root, 'prebuilds', `linux-${arch}`)
const helper = join(target, 'cromwell-init')
const addon = join(target, '@cromwell+ns-native.node')
const cross = arch === process.arch ? '' : `${TRIPLES[arch]}-`
const cc = findCompiler(process.env.CC, cross ? [`${cross}gcc`] : ['cc', 'gcc', 'clang'])
const cxx = findCompiler(process.env.CXX, cross ? [`${cross}g++`] : ['c++', 'g++', 'clang++'])

if (process.platform !== 'linux') {
  console.log('native code is for Linux only: nothing to build here')
} else if (cc && cxx) {
  mkdirSync(target, { recursive: true })
  buildHelper()
  buildAddon()
  check()
} else if (existsSync(helper) && existsSync(addon)) {
  console.log(`no compiler found, keeping what is built already in ${target}`)
} else {
  fail(
    `no C and C++ compiler for ${arch} found, and ${target} is not built yet: install one ` +
      `(Debian: apt-get install ${cross ? `g++-${TRIPLES[arch]}` : 'g++'}) or set CC and CXX`,
  )
}

function buildHelper() {
  compile(cc, helper, [
    '-std=gnu11 -Os -g0 -ffreestanding -fno-builtin -fno-stack-protector -fno-pie -no-pie',
    '-fno-strict-aliasing -fno-asynchronous-unwind-tables -fno-unwind-tables',
    '-ffunction-sections -fdata-sections -Wall -Wextra -Werror -Wno-unused-result',
    // gcc would turn the loop inside memcpy into a call of memcpy
    ...optional(cc, ['-fno-tree-loop-distribute-patterns', '-fcf-protection=none']),
    `-ffile-prefix-map=${root}=.`,
    ...sources(initDirectory, '.c'),
    '-static -nostdlib -Wl,--build-id=none -Wl,--gc-sections -Wl,-z,noexecstack',
    '-Wl,-z,noseparate-code -s',
  ])
}

// Linked against nothing: what it needs of a C library the Node process has, be it glibc or musl.
function buildAddon() {
  const includes = [
    ['-I', dirname(require.resolve('node-addon-api/package.json'))],
    ['-I', join(dirname(require.resolve('node-api-headers/package.json')), 'include')],
  ].flat()
  const common = [
    '-O2 -g0 -fPIC -fvisibility=hidden -fno-strict-aliasing -Wall -Wextra -Werror',
    '-ffunction-sections -fdata-sections -fno-stack-protector -U_FORTIFY_SOURCE',
    // gcc for arm64 would call functions of its own library for atomic operations
    ...optional(cc, ['-mno-outline-atomics']),
    `-ffile-prefix-map=${root}=.`,
  ]
  const objects = [...sources(addonDirectory, '.c'), ...sources(addonDirectory, '.cc')].map(
    (source) => {
      const object = join(target, `${source.split('/').pop()}.o`)
      const isC = source.endsWith('.c')
      const own = isC
        ? ['-std=gnu11']
        : [
            '-std=c++17 -fno-exceptions -fno-rtti -fno-threadsafe-statics',
            '-DNAPI_VERSION=8 -DNODE_ADDON_API_DISABLE_CPP_EXCEPTIONS',
            '-DNODE_ADDON_API_DISABLE_DEPRECATED',
          ]
      // Headers of others are not held to our warnings.
      const paths = isC ? [] : includes.map((part) => (part === '-I' ? '-isystem' : part))
      compile(isC ? cc : cxx, object, [...common, ...own, '-c', source, ...paths])
      return object
    },
  )
  compile(cxx, addon, [
    '-shared -nostdlib -Wl,--build-id=none -Wl,--gc-sections -Wl,-z,noexecstack -Wl,-z,now -s',
    '-Wl,-z,nodelete', // what it knows of the process outlives the workers that loaded it
    ...objects,
  ])
  for (const object of objects) rmSync(object)
}

function check() {
  const size = statSync(helper).size
  if (size >= HELPER_LIMIT_BYTES) fail(`cromwell-init has ${size} bytes, the limit is 100 kB`)
  const readelf = spawnSync('readelf', ['-d', addon], { encoding: 'utf8' })
  const needed = readelf.stdout?.match(/NEEDED.*/g) ?? []
  if (needed.length > 0) fail(`the addon must need no library, but has: ${needed.join(', ')}`)
  const addonSize = statSync(addon).size
  console.log(`linux-${arch}: cromwell-init ${size} bytes, addon ${addonSize} bytes`)
}

function sources(directory, extension) {
  return readdirSync(directory)
    .filter((name) => name.endsWith(extension))
    .sort()
    .map((name) => join(directory, name))
}

// Writes a temporary file first: a running build never sees half of another one's output.
function compile(compiler, output, parts) {
  const temporary = `${output}.${process.pid}`
  const flags = parts.flatMap((part) => (/^-\S+ -/.test(part) ? part.split(' ') : [part]))
  const result = spawnSync(compiler, [...flags, '-o', temporary], { encoding: 'utf8' })
  if (result.status === 0) return renameSync(temporary, output)
  rmSync(temporary, { force: true })
  fail(`${compiler} could not build ${output}:\n${result.error?.message ?? result.stderr}`)
}

function optional(compiler, flags) {
  return flags.filter(
    (flag) =>
      spawnSync(compiler, ['-Werror', flag, '-x', 'c', '-c', '-o', '/dev/null', '-'], {
        input: 'int x;',
      }).status === 0,
  )
}

function findCompiler(override, candidates) {
  if (override) return override
  return candidates.find((name) => spawnSync(name, ['--version']).status === 0)
}

function argument(name) {
  const index = process.argv.indexOf(name)
  return index < 0 ? undefined : process.argv[index + 1]
}

function fail(message) {
  console.error(`build-native: ${message}`)
  process.exit(1)
}
