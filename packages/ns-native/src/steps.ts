/**
 * The steps of a launch in the order in which they are taken; their numbers on the wire are their
 * positions. `native/init/steps.h` is the same list, a test holds the two together.
 */
export const STEPS = [
  'config',
  'monitor',
  'log',
  'stdio',
  'clone',
  'procfs',
  'idmap.setgroups',
  'idmap.uid',
  'idmap.gid',
  'init',
  'dumpable',
  'setid',
  'pdeathsig',
  'keyring',
  'hostname',
  'net.lo',
  'mnt.propagation',
  'root.overlay',
  'root.bind',
  'root.open',
  'mnt',
  'mask',
  'ro',
  'pty',
  'cwd.create',
  'root.readonly',
  'root.pivot',
  'fork',
  'session',
  'ctty',
  'caps.bounding',
  'setgroups',
  'setid.final',
  'cwd',
  'caps.set',
  'nnp',
  'signals',
  'closefds',
  'seccomp',
  'exec',
] as const

/** The name of a step, in the `step` of a NamespaceError. */
export type Step = (typeof STEPS)[number]
