import {
  directory,
  file,
  type ImageOptions,
  type LayerTree,
  makeImage,
  makeLayer,
  type TestImage,
  type TestLayer,
} from '@cromwell/registry/testing'
import { hostPrograms } from '@cromwell/test-support'

const PROGRAMS = ['sh', 'cat', 'ls', 'id', 'sleep', 'touch', 'mkdir', 'rm', 'stat', 'env', 'true']

/** A small base layer of this machine's own programs. */
export function hostLayer(): TestLayer {
  const programs = hostPrograms([...PROGRAMS, 'stty']).map(({ path, content, mode }) => {
    return [path, file(content, { mode })] as const
  })
  return makeLayer({
    ...Object.fromEntries(programs),
    'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\nwww:x:33:33:www:/var/www:/bin/sh\n',
    'etc/group': 'root:x:0:\nstaff:x:50:www\nwww:x:33:\n',
    root: directory({ mode: 0o700 }),
    tmp: directory({ mode: 0o1777 }),
  })
}

/** An image of the base layer and what is given. */
export function hostImage(
  base: TestLayer,
  { tree, config }: { tree?: LayerTree; config?: NonNullable<ImageOptions['config']> } = {},
): TestImage {
  const layers = tree === undefined ? [base] : [base, makeLayer(tree)]
  return makeImage({ layers, config: { Cmd: ['sh'], ...config } })
}
