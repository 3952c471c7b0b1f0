// A warm `run --rm IMAGE true`, start to exit, beside what Node alone costs and beside podman where it is
// installed. Run it as the plain user it is about: npm run bench -- [ROUNDS]
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTestRegistry } from '@cromwell/registry/testing'
import { run, which } from '@cromwell/test-support'
import { makeHostImage } from '../scripts/host-image.mjs'
import { benchEnvironment, interleave, table } from './interleave.mjs'

const rounds = Number(process.argv[2] ?? 30)
const root = join(import.meta.dirname, '..')
const home = mkdtempSync(join(tmpdir(), 'cromwell-bench-'))
const env = { ...benchEnvironment(), CROMWELL_HOME: home }
// as one runs podman where there is no systemd; the network is the host's on both sides
const podman = [
  'podman',
  '--cgroup-manager=cgroupfs',
  ...(which('runc') ? ['--runtime', 'runc'] : []),
]
const cromwell = [join(root, 'packages/cli/bin/cromwell.cjs')]

const registry = await createTestRegistry()
try {
  registry.addImage('library/hello:1', makeHostImage())
  const image = `${registry.host}/library/hello:1`
  const commands = {
    'node -e 0': [process.execPath, '-e', '0'],
    'cromwell run --rm IMAGE true': [...cromwell, 'run', '--rm', image, 'true'],
    'cromwell ps': [...cromwell, 'ps'],
  }
  await must([...cromwell, 'pull', image])
  if (which('podman')) {
    await must([...podman, 'pull', '--tls-verify=false', image])
    commands['podman run --rm IMAGE true'] = [
      ...podman,
      'run',
      '--rm',
      '--network=host',
      image,
      'true',
    ]
    commands['podman ps'] = [...podman, 'ps']
  }
  console.log(
    `Node ${process.version}, ${cpus().length} CPUs, uid ${process.getuid()}, ${rounds} rounds, interleaved\n`,
  )
  console.log(table(interleave(commands, { rounds, env })))
} finally {
  await registry.close()
  rmSync(home, { recursive: true, force: true })
}

async function must([file, ...args]) {
  const { status, stderr } = await run(file, args, { env })
  if (status !== 0) throw new Error(`${file} ${args.join(' ')} failed: ${stderr}`)
}
