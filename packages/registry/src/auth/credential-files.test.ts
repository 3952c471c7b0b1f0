import { expect, test } from 'vitest'
import { credentialFiles } from './credential-files.ts'

test.each([
  [
    "podman's files, then docker's",
    { env: { HOME: '/h', XDG_RUNTIME_DIR: '/run/user/1' } },
    {
      documents: [],
      authFiles: ['/run/user/1/containers/auth.json', '/h/.config/containers/auth.json'],
      dockerConfig: '/h/.docker/config.json',
    },
  ],
  [
    'other directories',
    { env: { HOME: '/h', XDG_CONFIG_HOME: '/c', DOCKER_CONFIG: '/d' }, uid: 1000 },
    {
      documents: [],
      authFiles: ['/run/containers/1000/auth.json', '/c/containers/auth.json'],
      dockerConfig: '/d/config.json',
    },
  ],
  [
    "one file in place of podman's, and a text in place of a file",
    { env: { REGISTRY_AUTH_FILE: '/a', DOCKER_AUTH_CONFIG: '{}' }, home: '/h', uid: 0 },
    {
      documents: [{ name: 'DOCKER_AUTH_CONFIG', text: '{}' }],
      authFiles: ['/a'],
      dockerConfig: '/h/.docker/config.json',
    },
  ],
  ['nothing', { env: { HOME: '', REGISTRY_AUTH_FILE: '' } }, { documents: [], authFiles: [] }],
])('%s', (_, surroundings, files) => {
  expect(credentialFiles(surroundings)).toEqual(files)
})
