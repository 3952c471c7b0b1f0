// The main job, shown: pull, run, a detached run and ps, each command with its output. Without an argument
// against a registry it starts itself, with an image made from what this machine has; npm run demo -- IMAGE
// uses that image instead, from whatever registry its name means.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTestRegistry } from '@cromwell/registry/testing'
import { makeHostImage } from './host-image.mjs'

const bin = join(import.meta.dirname, '..', 'node_modules', '.bin')
const [given] = process.argv.slice(2)
const home = mkdtempSync(join(tmpdir(), 'cromwell-demo-'))
const registry = given === undefined ? await createTestRegistry({ auth: 'token' }) : undefined

try {
  registry?.addImage('library/hello:1', makeHostImage())
  await show(given ?? `${registry?.host}/library/hello:1`)
} finally {
  await registry?.close()
  rmSync(home, { recursive: true, force: true })
}

async function show(image) {
  say('An image reference becomes an OCI image layout on disk:')
  await cromwell('pull', image)
  say('What is there is not fetched again:')
  await cromwell('pull', image)

  say('A container is a process in namespaces of its own; --rm leaves nothing behind:')
  if (given === undefined) await cromwell('run', '--rm', image)
  await cromwell('run', '--rm', image, 'sh', '-c', 'id; hostname; cat /proc/self/uid_map')
  if (given === undefined) {
    say('Its layers are stacked as they were made, removals included:')
    await cromwell('run', '--rm', image, 'ls', '-A', '/var/cache', '/srv/old')
  }
  say('Environment, host name, working directory, a read-only root, no network:')
  const environment = ['-e', 'GREETING=bonjour', '-h', 'elsewhere', '-w', '/tmp']
  const isolation = ['--read-only', '--network', 'none']
  const look = ['sh', '-c', 'pwd; hostname; env; cat /proc/net/dev']
  await cromwell('run', '--rm', ...environment, ...isolation, image, ...look)
  say('Its exit status is the command’s:')
  await cromwell('run', '--rm', image, 'sh', '-c', 'exit 3')

  say('A detached container leaves a monitor behind, not a Node process:')
  await cromwell('run', '-d', '--name', 'sleeper', image, 'sleep', '60')
  await cromwell('ps')
  await cromwell('rm', '-f', 'sleeper')
  await cromwell('ps', '-a')
}

function say(sentence) {
  process.stdout.write(`\n# ${sentence}\n`)
}

function cromwell(...args) {
  process.stdout.write(`$ cromwell ${args.map(quoted).join(' ')}\n`)
  return new Promise((resolve, reject) => {
    const env = { ...process.env, CROMWELL_HOME: home }
    const child = spawn(join(bin, 'cromwell'), args, { stdio: 'inherit', env })
    child.on('error', reject)
    child.on('exit', (status) => {
      // 125 and up: it was not the command but its start that failed
      if (status === null || status >= 125)
        reject(new Error(`cromwell ${args[0]} failed: ${status}`))
      if (status !== 0) process.stdout.write(`(exit status ${status})\n`)
      resolve()
    })
  }).catch((error) => {
    process.exitCode = 1
    process.stdout.write(`${error.message}\n`)
  })
}

function quoted(argument) {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument}'`
}
