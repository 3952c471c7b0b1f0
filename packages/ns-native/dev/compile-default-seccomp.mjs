// Writes src/seccomp/default-filter.data.ts from the default profile, after a `tsc -b`.
//
//   node dev/compile-default-seccomp.mjs
//
// default-filter.test.ts fails when this was forgotten.

import { writeFileSync } from 'node:fs'

const { compileSeccomp } = await import('../dist/seccomp/compile.js')
const { defaultSeccompProfile } = await import('../dist/seccomp/default-profile.js')

const filters = ['x64', 'arm64'].flatMap((arch) =>
  [false, true].map((allowNestedNamespaces) => {
    const profile = defaultSeccompProfile(arch, { allowNestedNamespaces })
    const { program } = compileSeccomp(profile, { arch })
    const key = allowNestedNamespaces ? `'${arch}-nested'` : arch
    return `  // ${program.length / 8} instructions
  ${key}:
    '${Buffer.from(program).toString('base64')}',`
  }),
)
writeFileSync(
  new URL('../src/seccomp/default-filter.data.ts', import.meta.url),
  `// Written by dev/compile-default-seccomp.mjs; not for editing.

/** The compiled default profile, as base64. */
export const DEFAULT_FILTERS = {
${filters.join('\n')}
} as const
`,
)
