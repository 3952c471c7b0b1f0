import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { HOST_ETC, hostSystemMounts } from './host-system.ts'

/** A host of files (`content`), directories (`null`) and links (`-> target`). */
function host(entries: Record<string, string | null>): string {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'cromwell-host-')))
  onTestFinished(() => rmSync(root, { recursive: true }))
  for (const [name, what] of Object.entries(entries)) {
    const path = join(root, name)
    mkdirSync(dirname(path), { recursive: true })
    if (what === null) mkdirSync(path, { recursive: true })
    else if (what.startsWith('-> ')) symlinkSync(what.slice(3), path)
    else writeFileSync(path, what)
  }
  return root
}

/** `destination` → what it is: a link's text, or the source of a read-only bind. */
function shown(root: string, etc?: readonly string[]): Record<string, string> {
  const mounts = hostSystemMounts({ root, ...(etc === undefined ? {} : { etc }) })
  return Object.fromEntries(
    mounts.map((mount) => {
      if (mount.type === 'symlink') return [mount.destination, `-> ${mount.target}`]
      if (mount.type !== 'bind') throw new Error(`unexpected ${mount.type}`)
      expect(mount).toMatchObject({ readonly: true, nosuid: true, nodev: true })
      return [mount.destination, mount.source.slice(root.length)]
    }),
  )
}

test('a merged /usr keeps its links', () => {
  const root = host({
    'usr/bin': null,
    'usr/lib': null,
    bin: '-> usr/bin',
    sbin: '-> usr/sbin',
    lib: '-> usr/lib',
    lib64: '-> /usr/lib',
  })
  expect(shown(root)).toEqual({
    '/usr': '/usr',
    '/bin': '-> usr/bin',
    '/lib': '-> usr/lib',
    '/lib64': '-> /usr/lib',
  })
})

test('directories of their own are bound, missing ones left out', () => {
  const root = host({
    'usr/bin': null,
    bin: null,
    lib: null,
    'etc/ssl/certs': null,
    'etc/hosts': '',
  })
  expect(shown(root)).toEqual({
    '/usr': '/usr',
    '/bin': '/bin',
    '/lib': '/lib',
    '/etc/hosts': '/etc/hosts',
    '/etc/ssl/certs': '/etc/ssl/certs',
  })
})

test('a link into what is shown stays a link, any other is resolved, one to nowhere is left out', () => {
  const root = host({
    'usr/share/zoneinfo/Asia/Tokyo': '',
    'run/systemd/resolve/stub-resolv.conf': '',
    'etc/localtime': '-> ../usr/share/zoneinfo/Asia/Tokyo',
    'etc/resolv.conf': '-> ../run/systemd/resolve/stub-resolv.conf',
    'etc/hosts': '-> /nowhere/at/all',
    'etc/ssl': '-> ../usr/../var/ssl',
    'var/ssl/certs': null,
  })
  expect(shown(root)).toEqual({
    '/usr': '/usr',
    '/etc/localtime': '-> ../usr/share/zoneinfo/Asia/Tokyo',
    '/etc/resolv.conf': '/run/systemd/resolve/stub-resolv.conf',
    '/etc/ssl/certs': '/var/ssl/certs',
  })
})

test('the store of NixOS is shown, and /etc leads into it', () => {
  const root = host({
    'nix/store/x/etc/ssl': null,
    'usr/bin': null,
    'etc/static': '-> /nix/store/x/etc',
  })
  expect(shown(root)).toEqual({
    '/usr': '/usr',
    '/nix/store': '/nix/store',
    '/etc/static': '-> /nix/store/x/etc',
  })
})

test('names in /etc can be chosen', () => {
  const root = host({ 'etc/hosts': '', 'etc/mine': '' })
  expect(shown(root, ['mine'])).toEqual({ '/etc/mine': '/etc/mine' })
})

test('nothing secret is shown of /etc, not even to root', () => {
  const secrets = [
    'shadow',
    'sudoers',
    'ssh/key',
    'machine-id',
    'ssl/private/key',
    'pki/tls/private/key',
  ]
  const root = host(Object.fromEntries(secrets.map((name) => [`etc/${name}`, 'secret'])))
  expect(shown(root)).toEqual({})
  for (const path of HOST_ETC)
    for (const secret of secrets) expect(`${secret}/`.startsWith(`${path}/`)).toBe(false)
})
