import { describe, expect, it } from 'vitest'
import { makeImage, makeLayer } from '../testing/index.ts'
import { digestOf } from './digest.ts'
import { parseImageConfig } from './image-config.ts'

const rootfs = { type: 'layers', diff_ids: [digestOf(Buffer.from('x'))] }

describe('parseImageConfig', () => {
  it('reads what an image says about how to run it', () => {
    const config = {
      User: '1000:1000',
      Env: ['A=1'],
      Entrypoint: ['/bin/sh', '-c'],
      Cmd: ['date'],
      WorkingDir: '/srv',
      StopSignal: 'SIGINT',
      Labels: { a: 'b' },
      Volumes: { '/data': {} },
      ExposedPorts: { '80/tcp': {} },
    }
    const layer = makeLayer({ a: 'a' })
    const platform = { os: 'linux', architecture: 'arm', variant: 'v6' }
    const { bytes } = makeImage({ layers: [layer], config, platform }).config
    expect(parseImageConfig(bytes)).toEqual({
      ...platform,
      created: '2020-01-01T00:00:00Z',
      config,
      rootfs: { type: 'layers', diff_ids: [layer.diffId] },
    })
  })

  it("reads Go's null as absence", () => {
    const config = { Entrypoint: null, Cmd: null, Env: null, Labels: null, Volumes: null, User: '' }
    expect(parse({ os: 'linux', architecture: 'amd64', config, rootfs }).config).toEqual({
      User: '',
    })
    expect(parse({ rootfs, config: null })).toMatchObject({ os: '', architecture: '', config: {} })
    expect(parse({ rootfs: { type: 'layers', diff_ids: null } }).rootfs.diff_ids).toEqual([])
  })

  it.each([
    ['no rootfs', {}, '"rootfs" is missing'],
    ['another type of rootfs', { rootfs: { type: 'zip' } }, '"rootfs.type"'],
    [
      'diff ids that are none',
      { rootfs: { type: 'layers', diff_ids: ['x'] } },
      '"rootfs.diff_ids"',
    ],
    ['an Env that is none', { rootfs, config: { Env: 'A=1' } }, '"Env"'],
    ['a Cmd of numbers', { rootfs, config: { Cmd: [1] } }, '"Cmd"'],
    ['a User that is none', { rootfs, config: { User: 0 } }, '"User"'],
    ['Volumes that are none', { rootfs, config: { Volumes: ['/a'] } }, '"Volumes"'],
    ['a config that is none', { rootfs, config: [] }, '"config"'],
  ])('refuses %s', (_, document, why) => {
    expect(() => parse(document)).toThrow(
      expect.objectContaining({
        code: 'ERR_REGISTRY_BAD_MANIFEST',
        message: expect.stringContaining(why),
      }),
    )
  })
})

function parse(document: object) {
  return parseImageConfig(Buffer.from(JSON.stringify(document)))
}
