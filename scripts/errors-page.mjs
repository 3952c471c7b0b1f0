// Writes docs/errors.md out of the packages' errors.ts: node scripts/errors-page.mjs
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')

const PACKAGES = {
  cli: 'CliError',
  engine: 'EngineError',
  runtime: 'RuntimeError',
  registry: 'RegistryError',
  rootfs: 'RootfsError',
  'ns-native': 'NamespaceError',
  pidstore: 'PidstoreError',
}

const INTRODUCTION = `# Errors

Every error that these packages throw on purpose is an instance of its package's one error class and has a \`code\`. A code is part
of the API: it never changes its meaning and is never reused. The message is for people and may change; it says what could not be
done, to what, and why. \`hint\`, where there is one, says what to do next; the other fields (a path, a step, a system call, a JSON
pointer into what was given) are documented with the class. An error that a call's \`AbortSignal\` caused is that signal's reason
unless the table says otherwise.

The command line prints message, code and hint, and exits with 125 for all of them but \`ERR_NS_EXEC\`: 127 when there is no such
program inside, 126 when it cannot be executed.
`

const sections = Object.entries(PACKAGES).map(([name, className]) => {
  const source = readFileSync(join(root, 'packages', name, 'src', 'errors.ts'), 'utf8')
  const codes = [...source.matchAll(/\/\*\* ([^\n]+?) \*\/\n\s+'(ERR_\w+)',/g)]
  const rows = codes.map(
    ([, meaning, code]) => `| \`${code}\` | ${meaning.replaceAll('|', '\\|')} |`,
  )
  return `## \`@cromwell/${name}\`: \`${className}\`\n\n| code | meaning |\n|---|---|\n${rows.join('\n')}\n`
})

const page = [INTRODUCTION, ...sections].join('\n').replaceAll(/\{@link (\w+)\}/g, '`$1`')
writeFileSync(join(root, 'docs', 'errors.md'), page)
