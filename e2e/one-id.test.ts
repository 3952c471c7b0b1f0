import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { requires, requiresProgram, run } from '@cromwell/test-support'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, type TestContext } from 'vitest'
import { type CromwellHome, createCromwellHome } from './support/cromwell.ts'
import { type DockerRegistry, startDockerRegistry } from './support/docker-registry.ts'

/** Genuine images as OCI layouts: alpine; and a Debian made by .ci/debian-image. */
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

// A plain user without subuid ranges has one id for a container; the others have more than that.
async function runScript(
  context: TestContext,
  image: 'debian' | 'alpine',
  script: string,
  options: readonly string[] = [],
) {
  const layout = image === 'debian' ? DEBIAN : join(IMAGES, 'alpine')
  const name = image === 'debian' ? 'debian-image' : 'images'
  requires(context, name, existsSync(layout), `there is none at ${layout}`)
  requiresProgram(context, 'docker-registry')
  requiresProgram(context, 'skopeo')
  registry ??= await startDockerRegistry()
  const tag = image === 'debian' ? '12' : '3.20'
  await registry.push(layout, tag, `one-id/${image}`)
  const reference = `${registry.host}/one-id/${image}:${tag}`
  return home.cromwell(['run', '--rm', '-q', ...options, reference, 'sh', '-ec', script])
}

/** Makes /repo/ship.deb, whose files belong to somebody and whose installation adds a user. */
const BUILD_PACKAGE = `
mkdir -p /build/DEBIAN /build/usr/share/ship /repo
cat >/build/DEBIAN/control <<END
Package: ship
Version: 1
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: a package
END
cat >/build/DEBIAN/postinst <<END
#!/bin/sh
set -e
useradd --create-home --shell /bin/sh crew
chown -R crew:crew /usr/share/ship
install -d -o crew -g crew -m 750 /var/lib/ship
END
chmod 755 /build/DEBIAN/postinst
echo ahoy >/build/usr/share/ship/log
chown -R www-data:www-data /build/usr
dpkg-deb --build /build /repo/ship.deb >/dev/null
`

/** ship.apk: what says what it is, and the files, each a tar of its own; the first without an end. */
const BUILD_APK = `
mkdir -p data/usr/share/ship && echo ahoy >data/usr/share/ship/log
sum=$(sha1sum data/usr/share/ship/log | cut -d' ' -f1)
tar -C data --format=posix --pax-option="delete=atime,delete=ctime,APK-TOOLS.checksum.SHA1:=$sum" --owner=33 --group=8 --sort=name -czf data.tar.gz usr
cat >.PKGINFO <<END
pkgname = ship
pkgver = 1-r0
pkgdesc = a package
url = https://example.org
size = 5
arch = noarch
datahash = $(sha256sum data.tar.gz | cut -d' ' -f1)
END
tar --format=ustar -b1 -cf - .PKGINFO | head -c -1024 | gzip -n >control.tar.gz
cat control.tar.gz data.tar.gz >ship.apk
`

describe('root in a container, with however few ids', () => {
  it('installs a package with apt-get, fetched by apt’s own unprivileged user', async (context) => {
    const result = await runScript(
      context,
      'debian',
      `${BUILD_PACKAGE}
cd /repo
{ dpkg-deb -f ship.deb; echo "Filename: ./ship.deb"; echo "Size: $(stat -c %s ship.deb)"
  echo "SHA256: $(sha256sum ship.deb | cut -d' ' -f1)"; } >Packages
echo 'deb [trusted=yes] file:/repo ./' >/etc/apt/sources.list
rm -f /etc/apt/sources.list.d/*
apt-get -q update 2>&1
apt-get -q install -y ship 2>&1
cat /usr/share/ship/log
id crew; ls -d /home/crew /var/lib/ship`,
    )
    expect(result).toMatchObject({ status: 0, stderr: '', stdout: expect.any(String) })
    expect(result.stdout).not.toMatch(/^[WE]: /m)
    expect(result.stdout).toMatch(
      /Setting up ship \(1\)[\s\S]*\nahoy\nuid=1000\(crew\) gid=1000\(crew\) groups=1000\(crew\)\n\/home\/crew\n\/var\/lib\/ship\n$/,
    )
  })

  it('adds users, becomes them, gives files away and unpacks those of others', async (context) => {
    const result = await runScript(
      context,
      'debian',
      `
useradd --create-home sailor
su nobody -s /bin/sh -c id
su sailor -c 'id -un; echo $HOME'
setpriv --reuid=33 --regid=33 --init-groups id
cd /tmp && echo x >f && chown www-data:adm f && chgrp mail f
mkdir d && echo y >d/g && tar --owner=33 --group=8 -cf t.tar d && rm -r d
tar -xpf t.tar --same-owner && cat d/g
mknod p p && ls`,
    )
    expect(result).toMatchObject({ status: 0, stderr: '', stdout: expect.any(String) })
    expect(result.stdout.split('\n').slice(0, 5)).toEqual([
      'uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)',
      'sailor',
      '/home/sailor',
      'uid=33(www-data) gid=33(www-data) groups=33(www-data)',
      'y',
    ])
  })

  it('adds an apk package whose files belong to others, and a user', async (context) => {
    const directory = mkdtempSync(join(tmpdir(), 'cromwell-apk-'))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    const built = await run('sh', ['-ec', BUILD_APK], { cwd: directory })
    expect(built).toMatchObject({ status: 0, stderr: '' })
    const result = await runScript(
      context,
      'alpine',
      `
: >/etc/apk/repositories
apk add --no-network --allow-untrusted /repo/ship.apk 2>&1
cat /usr/share/ship/log
adduser -D sailor && su sailor -c id && ls -d /home/sailor`,
      ['-v', `${directory}:/repo:ro`],
    )
    expect(result).toMatchObject({ status: 0, stderr: '', stdout: expect.any(String) })
    expect(result.stdout).not.toMatch(/ERROR|WARNING/)
    expect(result.stdout).toMatch(/Installing ship \(1-r0\)/)
    expect(result.stdout.split('\n').slice(-4)).toEqual([
      'ahoy',
      'uid=1000(sailor) gid=1000(sailor) groups=1000(sailor)',
      '/home/sailor',
      '',
    ])
  })
})
