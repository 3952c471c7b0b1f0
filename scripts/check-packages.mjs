// Packs each package and asks publint and are-the-types-wrong what its users would meet.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const bin = join(root, 'node_modules', '.bin')
const scratch = mkdtempSync(join(tmpdir(), 'cromwell-pack-'))
let failed = false

try {
  for (const name of readdirSync(join(root, 'packages'))) check(name)
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
process.exit(failed ? 1 : 0)

function check(name) {
  const directory = join(root, 'packages', name)
  run(name, 'publint', ['run', directory, '--strict', '--pack', 'pnpm'])
  run(name, 'pnpm', ['--dir', directory, 'pack', '--pack-destination', scratch])
  const tarball = readdirSync(scratch).find((file) => file.includes(`-${name}-`))
  run(name, 'attw', [join(scratch, tarball), '--profile', 'esm-only', '--no-emoji'])
}

function run(name, tool, arguments_) {
  const result = spawnSync(join(bin, tool), arguments_, {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
  })
  const ok = result.status === 0
  process.stdout.write(`${ok ? 'ok  ' : 'FAIL'} ${tool} ${name}\n`)
  if (ok) return
  failed = true
  process.stdout.write(`${result.stdout}${result.stderr}\n`)
}
