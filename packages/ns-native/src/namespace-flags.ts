import type { NamespaceType } from './launch-spec.ts'

/** CLONE_NEW* of linux/sched.h. */
export const NAMESPACE_FLAGS: Record<NamespaceType, number> = {
  mount: 0x00020000,
  cgroup: 0x02000000,
  uts: 0x04000000,
  ipc: 0x08000000,
  user: 0x10000000,
  pid: 0x20000000,
  network: 0x40000000,
  time: 0x00000080,
}
