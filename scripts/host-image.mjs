// An image made of what this machine has, for where no registry can be reached: a few of its programs with
// the libraries they load, in layers that use what layers can do.
import {
  directory,
  file,
  makeImage,
  makeLayer,
  opaque,
  symlink,
  whiteout,
} from '@cromwell/registry/testing'
import { hostPrograms } from '@cromwell/test-support'

const PROGRAMS = ['sh', 'cat', 'ls', 'id', 'env', 'hostname', 'sleep', 'true', 'uname', 'stty']

const ENTRYPOINT = `#!/bin/sh
# greets, then becomes the command
echo "$GREETING from $(hostname)"
exec "$@"
`

/** Three layers, two of which take something away; an entrypoint, an environment, a working directory. */
export function makeHostImage() {
  const programs = hostPrograms(PROGRAMS).map(({ path, content, mode }) => [
    path,
    file(content, { mode }),
  ])
  const base = makeLayer({
    ...Object.fromEntries(programs),
    'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\nguest:x:1000:1000::/home/guest:/bin/sh\n',
    'etc/group': 'root:x:0:\nguest:x:1000:\n',
    'etc/motd': 'the first layer wrote this\n',
    'var/cache/junk': 'removed by the third layer\n',
    'srv/old/page': 'hidden by the third layer\n',
    root: directory({ mode: 0o700 }),
    tmp: directory({ mode: 0o1777 }),
  })
  const middle = makeLayer({
    'entrypoint.sh': file(ENTRYPOINT, { mode: 0o755 }),
    'etc/motd': 'the second layer replaced it\n',
    'etc/issue': symlink('motd'),
  })
  const top = makeLayer({
    'var/cache/junk': whiteout(),
    'srv/old': opaque(),
    'srv/old/new-page': 'all there is in here now\n',
  })
  return makeImage({
    layers: [base, middle, top],
    config: {
      Entrypoint: ['/entrypoint.sh'],
      Cmd: ['cat', '/etc/issue'],
      Env: ['PATH=/bin', 'GREETING=hello'],
      WorkingDir: '/srv',
    },
  })
}
