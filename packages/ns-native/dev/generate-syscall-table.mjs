// Writes src/seccomp/syscall-table.data.ts from the kernel headers of this machine.
//
//   node dev/generate-syscall-table.mjs
//
// Needs a compiler per architecture, as it lets the preprocessor decide what is defined: gcc with
// linux-libc-dev, and gcc-aarch64-linux-gnu. The result is checked in; run this again only to
// learn of newer system calls, then `node dev/compile-default-seccomp.mjs`.

import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'

const COMPILERS = { x64: 'x86_64-linux-gnu-gcc', arm64: 'aarch64-linux-gnu-gcc' }

// Newer than Debian 12's headers (Linux 6.1). From 424 on, every architecture has the same numbers.
const SINCE_6_1 = [
  ['cachestat', 451], // 6.5
  ['fchmodat2', 452], // 6.6
  ['map_shadow_stack', 453], // 6.6
  ['futex_wake', 454], // 6.7
  ['futex_wait', 455], // 6.7
  ['futex_requeue', 456], // 6.7
  ['statmount', 457], // 6.8
  ['listmount', 458], // 6.8
  ['lsm_get_self_attr', 459], // 6.8
  ['lsm_set_self_attr', 460], // 6.8
  ['lsm_list_modules', 461], // 6.8
  ['mseal', 462], // 6.10
  ['setxattrat', 463], // 6.13
  ['getxattrat', 464], // 6.13
  ['listxattrat', 465], // 6.13
  ['removexattrat', 466], // 6.13
  ['open_tree_attr', 467], // 6.15
  ['file_getattr', 468], // 6.17
  ['file_setattr', 469], // 6.17
]
const SINCE_6_1_X64_ONLY = [
  ['uretprobe', 335], // 6.11
  ['uprobe', 336], // 6.18
]

// What the generic header defines that is no system call.
const NOT_CALLS = new Set(['syscalls', 'arch_specific_syscall'])

function numbersOf(compiler) {
  const { status, stdout, stderr, error } = spawnSync(compiler, ['-dM', '-E', '-'], {
    input: '#include <asm/unistd.h>\n',
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`cannot run ${compiler}: ${error?.message ?? stderr}`)
  const defined = new Map(
    [...stdout.matchAll(/^#define (__NR\w*) (\w+)$/gm)].map(([, name, value]) => [name, value]),
  )
  const numbers = new Map()
  for (const [macro, value] of defined) {
    const name = /^__NR_(\w+)$/.exec(macro)?.[1]
    if (name === undefined || NOT_CALLS.has(name)) continue
    numbers.set(name, Number(defined.get(value) ?? value))
  }
  return numbers
}

const x64 = numbersOf(COMPILERS.x64)
const arm64 = numbersOf(COMPILERS.arm64)
for (const [name, number] of SINCE_6_1) {
  x64.set(name, number)
  arm64.set(name, number)
}
for (const [name, number] of SINCE_6_1_X64_ONLY) x64.set(name, number)

const names = [...new Set([...x64.keys(), ...arm64.keys()])].sort()
const lines = names.map((name) => `${name} ${x64.get(name) ?? '-'} ${arm64.get(name) ?? '-'}`)
writeFileSync(
  new URL('../src/seccomp/syscall-table.data.ts', import.meta.url),
  `// Written by dev/generate-syscall-table.mjs; not for editing.

/** One system call a line: its name, its number on x64, its number on arm64; \`-\` where it has none. */
export const SYSCALL_LINES = \`
${lines.join('\n')}
\`
`,
)
console.log(`${names.length} system calls: ${x64.size} on x64, ${arm64.size} on arm64`)
