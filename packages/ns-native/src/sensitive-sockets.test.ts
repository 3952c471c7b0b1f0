import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { isSensitiveSocket, sensitiveSocketsBelow } from './sensitive-sockets.ts'

test.each([
  '/var/run/docker.sock',
  '/run/docker.sock',
  '/run/../run//docker.sock',
  '/home/somebody/.docker/desktop/docker.sock',
  '/run/user/1000/podman/podman.sock',
  '/run/containerd/containerd.sock',
  '/run/dbus/system_bus_socket',
  '/run/user/1000/bus',
  '/run/user/1000',
  '/run/user',
  '/run/user/1000/wayland-0',
  '/run/systemd/private',
  '/run/systemd/io.systemd.Login',
  '/tmp/.X11-unix',
  '/tmp/.X11-unix/X0',
  '/tmp/ssh-XXXXabc/agent.123',
  '/tmp/tmux-1000/default',
  '/home/somebody/.gnupg/S.gpg-agent.ssh',
])('%s is a sensitive socket', (path) => {
  expect(isSensitiveSocket(path)).toBe(true)
})

test.each([
  '/',
  '/run',
  '/tmp',
  '/tmp/project',
  '/home/somebody/docker.sock.md',
  '/run/systemd/resolve/stub-resolv.conf',
  '/run/current-system',
  '/usr/lib/docker',
])('%s is none', (path) => {
  expect(isSensitiveSocket(path)).toBe(false)
})

test('what has to be masked in a directory that is shown as a whole is found', () => {
  const directory = mkdtempSync('/tmp/tmux-cromwell-')
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const name = directory.slice('/tmp/'.length)
  expect(sensitiveSocketsBelow('/')).toContain(join('/tmp', name))
  expect(sensitiveSocketsBelow('/tmp/')).toContain(join('/tmp', name))
  expect(sensitiveSocketsBelow(directory)).toEqual([])
  mkdirSync(join(directory, 'run'))
  expect(sensitiveSocketsBelow(join(directory, 'run'))).toEqual([])
  expect(sensitiveSocketsBelow('/no/such/directory')).toEqual([])
})
