import { expect, test } from 'vitest'
import { credentialFiles } from './credentials.ts'

test("podman's files come before docker's, where the variables say", () => {
  expect(credentialFiles({ HOME: '/h', XDG_RUNTIME_DIR: '/run/user/1' })).toEqual({
    dockerConfig: '/h/.docker/config.json',
    authFiles: ['/run/user/1/containers/auth.json', '/h/.config/containers/auth.json'],
  })
  const explicit = { HOME: '/h', DOCKER_CONFIG: '/d', REGISTRY_AUTH_FILE: '/a' }
  expect(credentialFiles(explicit)).toEqual({
    dockerConfig: '/d/config.json',
    authFiles: ['/a'],
  })
  expect(credentialFiles({})).toEqual({ authFiles: [] })
})
