import { expect, test } from 'vitest'
import { commandLine, type EnvironmentSources, environment } from './process-config.ts'

const image = { Entrypoint: ['/entry'], Cmd: ['cmd', 'arg'] }

test.each([
  ['the image decides when nothing is given', image, {}, ['/entry', 'cmd', 'arg']],
  ['a command replaces Cmd only', image, { command: ['x'] }, ['/entry', 'x']],
  ['an entrypoint drops Cmd too', image, { entrypoint: ['/e'] }, ['/e']],
  ['both replace both', image, { entrypoint: ['/e'], command: ['x'] }, ['/e', 'x']],
  ['an empty entrypoint clears it', image, { entrypoint: [''], command: ['x'] }, ['x']],
  ['so does an empty list', image, { entrypoint: [], command: ['x'] }, ['x']],
  ['an image may have a Cmd only', { Cmd: ['sh'], Entrypoint: null }, {}, ['sh']],
  ['an empty command is no command', image, { command: [] }, ['/entry', 'cmd', 'arg']],
])('%s', (_title, config, options, expected) => {
  expect(commandLine(config, options)).toEqual(expected)
})

test.each([
  [{}, {}],
  [image, { entrypoint: [''] }],
  [{ Cmd: [''] }, {}],
])('nothing to run is an error: %j with %j', (config, options) => {
  expect(() => commandLine(config, options)).toThrow(
    expect.objectContaining({ code: 'ERR_ENGINE_NO_COMMAND', hint: expect.any(String) }),
  )
})

const sources: EnvironmentSources = {
  image: [],
  options: [],
  host: {},
  hostname: 'box',
  terminal: false,
  homeDirectory: '/root',
}

test('a container has PATH, HOSTNAME, HOME and a mark of its own, and nothing of the host', () => {
  expect(environment({ ...sources, host: { SECRET: 'x', LANG: 'de_DE' } })).toEqual([
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    'container=cromwell',
    'HOSTNAME=box',
    'HOME=/root',
  ])
})

test('TERM is set only with a terminal', () => {
  expect(environment({ ...sources, terminal: true })).toContain('TERM=xterm')
})

test('later entries win, and each name occurs once', () => {
  const result = environment({
    ...sources,
    image: ['PATH=/image', 'A=image', 'HOME=/data'],
    options: ['A=file', 'A=option', 'EMPTY=', 'EQ=a=b'],
  })
  expect(result).toEqual([
    'PATH=/image',
    'container=cromwell',
    'HOSTNAME=box',
    'A=option',
    'HOME=/data',
    'EMPTY=',
    'EQ=a=b',
  ])
})

test('a bare name copies from the host, and takes the variable out where the host has none', () => {
  const result = environment({
    ...sources,
    image: ['KEEP=1', 'DROP=1'],
    options: ['FROM_HOST', 'DROP'],
    host: { FROM_HOST: 'yes' },
  })
  expect(result).toContain('FROM_HOST=yes')
  expect(result).toContain('KEEP=1')
  expect(result.join()).not.toContain('DROP')
})

test.each(['=x', '', 'A=\0'])('the entry %j is refused', (entry) => {
  expect(() => environment({ ...sources, options: [entry] })).toThrow(
    expect.objectContaining({ code: 'ERR_ENGINE_OPTION' }),
  )
})
