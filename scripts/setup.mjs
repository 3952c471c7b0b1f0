// Makes a checkout ready to use with nothing but Node, npm and a C/C++ compiler:
// pnpm by way of npm, dependencies, native code, TypeScript, the bundled command line.
// Quick when there is nothing to do.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const bin = join(root, 'node_modules', '.bin')
const environment = {
  ...process.env,
  PATH: `${bin}:${process.env.PATH}`,
  TURBO_TELEMETRY_DISABLED: '1',
  DO_NOT_TRACK: '1',
}

installDependencies()
run('building', 'turbo', ['run', 'build', '--log-order=grouped', '--output-logs=errors-only'])

function installDependencies() {
  const lockfile = readFileSync(join(root, 'pnpm-lock.yaml'))
  const manifests = readFileSync(join(root, 'pnpm-workspace.yaml'))
  const wanted = createHash('sha256').update(lockfile).update(manifests).digest('hex')
  const stamp = join(root, 'node_modules', '.cromwell-setup')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  const arguments_ = ['install', '--frozen-lockfile', '--prefer-offline']
  run('installing dependencies', 'npm', ['exec', '--yes', packageManager, '--', ...arguments_])
  writeFileSync(stamp, wanted)
}

function run(what, command, arguments_) {
  const result = spawnSync(command, arguments_, { cwd: root, env: environment, encoding: 'utf8' })
  if (result.status === 0) return
  process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`)
  process.stderr.write(`setup: ${what} failed: ${command} ${arguments_.join(' ')}`)
  process.stderr.write(
    result.error ? `: ${result.error.message}\n` : ` (exit status ${result.status})\n`,
  )
  process.exit(1)
}
