import { describe, expect, it } from 'vitest'
import type { OnEvent } from './event.ts'
import { readHostFacts } from './host-facts.ts'
import { registryOptions } from './registry-options.ts'

const onEvent: OnEvent = () => {}

async function clientOptions(env: Record<string, string>) {
  const host = readHostFacts({ env, cwd: '/' })
  return (await registryOptions({ host, onEvent })).client
}

describe('registryOptions', () => {
  it('takes proxies from the environment as the registry client reads them', async () => {
    const { proxy } = await clientOptions({
      HTTPS_PROXY: 'http://upper:1',
      https_proxy: 'http://lower:2',
      ALL_PROXY: 'http://all:3',
      NO_PROXY: '',
    })
    expect(proxy).toEqual({ https: 'http://lower:2', all: 'http://all:3' })
  })

  it('lets a registry in a private network lead to other machines of it', async () => {
    expect((await clientOptions({})).network).toEqual({ allowPrivate: true })
  })

  it('takes HTTP_PROXY from no CGI request', async () => {
    const env = { HTTP_PROXY: 'http://attacker:1', REQUEST_METHOD: 'GET' }
    expect((await clientOptions(env)).proxy).toEqual({})
  })

  it("looks for mirrors and certificates where podman and docker do, one's own first", async () => {
    expect(await clientOptions({ HOME: '/h' })).toMatchObject({
      registriesConf: {
        files: ['/h/.config/containers/registries.conf', '/etc/containers/registries.conf'],
        directories: [
          '/etc/containers/registries.conf.d',
          '/h/.config/containers/registries.conf.d',
        ],
      },
      certsDirs: [
        '/h/.config/containers/certs.d',
        '/etc/containers/certs.d',
        '/etc/docker/certs.d',
      ],
    })
  })

  it('reads one file in place of all registries.conf if that is named', async () => {
    const env = { CONTAINERS_REGISTRIES_CONF: '/r.conf', XDG_CONFIG_HOME: '/c' }
    expect(await clientOptions(env)).toMatchObject({
      registriesConf: { files: ['/r.conf'], directories: [] },
      certsDirs: ['/c/containers/certs.d', '/etc/containers/certs.d', '/etc/docker/certs.d'],
    })
  })
})
