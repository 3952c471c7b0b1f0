import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { requiresProgram } from '@cromwell/test-support'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { parseReference } from './reference.ts'

// What skopeo makes of a name is seen in what it asks a registry for, which here is always the same one.
const HOSTS = ['docker.io', 'localhost', 'localhost:5000', 'host.example', 'host-2.example:443']
const HEX = '0123456789abcdef'.repeat(4)

let server: Server
let home: string
let lastPath: string | undefined

beforeAll(async () => {
  server = createServer((request, response) => {
    const path = request.url ?? ''
    if (path !== '/v2/') lastPath = path
    response.writeHead(path === '/v2/' ? 200 : 404).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // A server that listens on TCP has an address of this form.
  const { port } = server.address() as AddressInfo
  home = await mkdtemp(join(tmpdir(), 'cromwell-references-'))
  await mkdir(join(home, '.config/containers'), { recursive: true })
  const rules = HOSTS.map(
    (host, index) =>
      `[[registry]]\nprefix = "${host}"\nlocation = "127.0.0.1:${port}/h${index}"\ninsecure = true\n`,
  )
  await writeFile(join(home, '.config/containers/registries.conf'), rules.join(''))
})

afterAll(async () => {
  server.close()
  await rm(home, { recursive: true, force: true })
})

it('understands names as skopeo does', async (context) => {
  const skopeo = requiresProgram(context, 'skopeo')
  const different: unknown[] = []
  const counts = { accepted: 0, refused: 0 }
  for (const name of fc.sample(names(), 120)) {
    const theirs = await askSkopeo(skopeo, name)
    const ours = pathOf(name)
    counts[theirs === 'refused' ? 'refused' : 'accepted'] += 1
    if (theirs !== ours) different.push({ name, theirs, ours })
  }
  expect(different).toEqual([])
  // Else the names would be of no use.
  expect(Math.min(counts.accepted, counts.refused)).toBeGreaterThan(15)
}, 120_000)

async function askSkopeo(skopeo: string, name: string): Promise<string> {
  lastPath = undefined
  const env = { PATH: process.env['PATH'], HOME: home }
  const said = await new Promise<string>((resolve) => {
    execFile(skopeo, ['inspect', `docker://${name}`], { env }, (_, __, stderr) => resolve(stderr))
  })
  if (lastPath !== undefined) return lastPath
  if (/invalid reference format|repository name|cannot specify 64-byte|digest/.test(said)) {
    return 'refused'
  }
  return said
}

function pathOf(name: string): string {
  try {
    const { registry, repository, tag, digest } = parseReference(name)
    return `/v2/h${HOSTS.indexOf(registry)}/${repository}/manifests/${digest ?? tag}`
  } catch {
    return 'refused'
  }
}

/**
 * Names and near misses. Debian's skopeo is older than IPv6 addresses and upper-case hosts in the grammar, and counts the
 * host in the length of a name.
 */
function names(): fc.Arbitrary<string> {
  const host = fc.constantFrom('', '', ...HOSTS.map((name) => `${name}/`), 'index.docker.io/')
  const part = fc.oneof(
    { weight: 6, arbitrary: fc.stringMatching(/^[a-z0-9]{1,6}([._-]|__|--)?[a-z0-9]{1,4}$/) },
    { weight: 2, arbitrary: fc.constantFrom('library', 'a', HEX, 'docker', 'latest') },
    { weight: 1, arbitrary: fc.stringMatching(/^[a-z0-9._-]{0,8}$/) },
    { weight: 1, arbitrary: fc.constantFrom('a..b', 'a___b', 'a.-b', '-a', 'a_', 'a--__b', 'aB') },
  )
  const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
  const tag = fc.oneof(
    { weight: 4, arbitrary: fc.stringMatching(/^\w[\w.-]{0,12}$/) },
    { weight: 1, arbitrary: fc.stringMatching(/^[\w.:+-]{0,6}$/) },
    { weight: 1, arbitrary: fc.constantFrom('t'.repeat(128), 't'.repeat(129)) },
  )
  const digest = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(`sha256:${HEX}`, `sha512:${HEX}${HEX}`) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        'sha256:abc',
        `sha256:${HEX}0`,
        `SHA256:${HEX}`,
        `md5:${HEX}`,
        HEX,
      ),
    },
  )
  const end = fc.oneof(
    fc.constant(''),
    tag.map((text) => `:${text}`),
    digest.map((text) => `@${text}`),
  )
  return fc
    .tuple(host, path, end)
    .map((parts) => parts.join(''))
    .filter(leadsToUs)
}

/** Whether the host in front, if there is one, is one of those that our rules are for. */
function leadsToUs(name: string): boolean {
  const first = name.includes('/') ? name.slice(0, name.indexOf('/')) : ''
  return !/[A-Z.:]/.test(first) || first === 'index.docker.io' || HOSTS.includes(first)
}
