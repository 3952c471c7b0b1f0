import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { requires, requiresProgram, run } from '@cromwell/test-support'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CromwellHome, createCromwellHome } from './support/cromwell.ts'
import { type DockerRegistry, startDockerRegistry } from './support/docker-registry.ts'

/** Genuine images as OCI layouts: busybox, alpine; and a Debian made by .ci/debian-image. */
const IMAGES = process.env.CROMWELL_TEST_IMAGES || join(import.meta.dirname, '../../shared/images')
const DEBIAN = process.env.CROMWELL_TEST_DEBIAN ?? ''

let registry: DockerRegistry | undefined
let home: CromwellHome

beforeAll(() => {
  home = createCromwellHome()
})

afterAll(async () => {
  await home.remove()
  await registry?.close()
})

/** Push an image with skopeo to Debian's docker-registry; the reference to run it by. */
async function served(layout: string, tag: string, repository: string): Promise<string> {
  registry ??= await startDockerRegistry()
  await registry.push(layout, tag, repository)
  return `${registry.host}/${repository}:${tag}`
}

describe('a genuine image out of Debian’s docker-registry', () => {
  it.for([
    [
      'alpine',
      '3.20',
      'cat /etc/alpine-release && ls -l /bin/ls',
      /^3\.20\.3\n.*\/bin\/busybox\n$/,
    ],
    ['busybox', 'musl-amd64', 'busybox | head -1', /^BusyBox v1\.37\.0/],
    ['busybox', 'glibc-amd64', 'id -u; hostname', /^0\n[0-9a-f]{12}\n$/],
  ] as const)('%s:%s runs', async ([layout, tag, script, expected], context) => {
    requires(context, 'images', existsSync(join(IMAGES, layout)), `there are none at ${IMAGES}`)
    requiresProgram(context, 'docker-registry')
    requiresProgram(context, 'skopeo')
    const image = await served(join(IMAGES, layout), tag, `library/${layout}`)
    const result = await home.cromwell(['run', '--rm', image, 'sh', '-c', script])
    expect(result).toMatchObject({ status: 0, stdout: expect.stringMatching(expected) })
  })

  it('debian:12 runs, apt-get and all, as root of its own user namespace', async (context) => {
    requires(context, 'debian-image', existsSync(DEBIAN), 'CROMWELL_TEST_DEBIAN names no layout')
    requiresProgram(context, 'docker-registry')
    requiresProgram(context, 'skopeo')
    const image = await served(DEBIAN, '12', 'library/debian')
    const script = 'apt-get --version | head -1; id; cat /proc/self/uid_map'
    const result = await home.cromwell(['run', '--rm', image, 'sh', '-c', script])
    expect(result.stderr).toMatch(/Unable to find image/)
    const [apt, id, ...map] = result.stdout.trimEnd().split('\n')
    expect(apt).toMatch(/^apt 2\./)
    expect(id).toMatch(/^uid=0\(root\) gid=0\(root\)/)
    expect(map[0]?.trim().split(/\s+/).slice(0, 2)).toEqual(['0', String(process.getuid?.())])
  })

  it('is not fetched again when it is there', async (context) => {
    requires(context, 'images', existsSync(join(IMAGES, 'busybox')), `there are none at ${IMAGES}`)
    requiresProgram(context, 'docker-registry')
    requiresProgram(context, 'skopeo')
    const image = await served(join(IMAGES, 'busybox'), 'musl-amd64', 'library/again')
    await home.cromwell(['pull', image])
    const again = await home.cromwell(['pull', image])
    expect(again.stdout).toMatch(/Status: Image is up to date/)
    expect(again.stdout).not.toMatch(/Download/)
  })

  it('lies in a layout that skopeo reads', async (context) => {
    requires(context, 'images', existsSync(join(IMAGES, 'alpine')), `there are none at ${IMAGES}`)
    requiresProgram(context, 'docker-registry')
    const skopeo = requiresProgram(context, 'skopeo')
    const image = await served(join(IMAGES, 'alpine'), '3.20', 'library/alpine')
    expect((await home.cromwell(['pull', '-q', image])).status).toBe(0)
    const inspected = await run(skopeo, ['inspect', `oci:${home.home}/images:${image}`])
    expect(inspected.stderr).toBe('')
    expect(JSON.parse(inspected.stdout)).toMatchObject({
      Os: 'linux',
      Layers: [expect.any(String)],
    })
  })
})
