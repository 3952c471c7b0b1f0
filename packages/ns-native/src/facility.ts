/** What a host can be asked about. */
export type FacilityName =
  | 'user-namespaces'
  | 'id-mapping'
  | 'proc'
  | 'overlay'
  | 'network-namespace'
  | 'time-namespace'
  | 'seccomp'
  | 'apparmor'
  | 'cgroup'
  | 'linux'
  | 'helper'
  | 'seccomp-notify'
  | 'landlock'
  | 'memfd'
  | 'outer-sandbox'
  | 'pasta'
  | 'slirp4netns'
  | 'tun'

/** Whether a facility works here; if not, why, and what would change it. */
export interface Facility {
  name: FacilityName
  ok: boolean
  /** What was found, such as the kind of id mapping. */
  detail?: string
  /** Of the system call that failed, where one did. */
  errno?: number
  why?: string
  /** What to do, as root unless it says otherwise. */
  fix?: string
}
