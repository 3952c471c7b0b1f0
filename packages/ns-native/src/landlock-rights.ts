/**
 * The rights that Landlock can restrict, landlock(7): their bits and the ABI that brought them.
 * `native/init/landlock.c` has them by ABI, a test holds the two together.
 */
export const LANDLOCK_FS_RIGHTS = {
  execute: { bit: 0, abi: 1 },
  write_file: { bit: 1, abi: 1 },
  read_file: { bit: 2, abi: 1 },
  read_dir: { bit: 3, abi: 1 },
  remove_dir: { bit: 4, abi: 1 },
  remove_file: { bit: 5, abi: 1 },
  make_char: { bit: 6, abi: 1 },
  make_dir: { bit: 7, abi: 1 },
  make_reg: { bit: 8, abi: 1 },
  make_sock: { bit: 9, abi: 1 },
  make_fifo: { bit: 10, abi: 1 },
  make_block: { bit: 11, abi: 1 },
  make_sym: { bit: 12, abi: 1 },
  refer: { bit: 13, abi: 2 },
  truncate: { bit: 14, abi: 3 },
  ioctl_dev: { bit: 15, abi: 5 },
} as const

/** TCP: to which ports a socket may be bound, and connected. */
export const LANDLOCK_NET_RIGHTS = {
  bind_tcp: { bit: 0, abi: 4 },
  connect_tcp: { bit: 1, abi: 4 },
} as const

/** What must stay among the processes that are restricted together. */
export const LANDLOCK_SCOPES = {
  abstract_unix_socket: { bit: 0, abi: 6 },
  signal: { bit: 1, abi: 6 },
} as const

export type LandlockFsRight = keyof typeof LANDLOCK_FS_RIGHTS
export type LandlockNetRight = keyof typeof LANDLOCK_NET_RIGHTS
export type LandlockScope = keyof typeof LANDLOCK_SCOPES
/** A kind of access that a kernel may or may not be able to restrict. */
export type LandlockRight = LandlockFsRight | LandlockNetRight | LandlockScope

/** Rights that are usually wanted together. */
export const LANDLOCK_ACCESS_GROUPS = {
  read: ['read_file', 'read_dir'],
  write: [
    'write_file',
    'truncate',
    'remove_dir',
    'remove_file',
    'make_dir',
    'make_reg',
    'make_sock',
    'make_fifo',
    'make_sym',
    'refer',
  ],
} as const satisfies Record<string, readonly LandlockFsRight[]>

/** `read` and `write` stand for groups of rights, `execute` and the others for themselves. */
export type LandlockAccess = keyof typeof LANDLOCK_ACCESS_GROUPS | LandlockFsRight

/** What a Landlock ruleset allows; whatever a part is given for and does not name is refused. */
export interface LandlockSpec {
  /**
   * Files and directories, with all that is below them. Left out: not restricted; empty: no access
   * at all. Paths are those of the program, looked up when everything is mounted.
   */
  fs?: readonly LandlockPath[]
  /** TCP ports. A list left out: not restricted; empty: none. */
  net?: { bindTcp?: readonly number[]; connectTcp?: readonly number[] }
  /** `abstract_unix_socket`, `signal`: no connecting to, no signalling of processes outside. */
  scope?: readonly LandlockScope[]
  /**
   * Rights that need not be restricted where the kernel cannot do it. A right that it cannot restrict
   * and that is not named here is an error, ERR_NS_UNSUPPORTED.
   */
  degraded?: readonly LandlockRight[]
}

/** One rule about files. */
export interface LandlockPath {
  /** Absolute. */
  path: string
  access: readonly LandlockAccess[]
  /** Skip it when there is no such path; otherwise that is an error. */
  optional?: boolean
}

/** The bits of fs, net and scope rights by name, as the kernel takes them. */
export function landlockBits(
  table: Readonly<Record<string, { bit: number }>>,
  names: Iterable<string>,
): bigint {
  let bits = 0n
  for (const name of names) bits |= 1n << BigInt(table[name]?.bit ?? 0)
  return bits
}

/** The names of the rights in a set of bits. */
export function landlockNames(
  table: Readonly<Record<string, { bit: number }>>,
  bits: bigint,
): string[] {
  return Object.entries(table)
    .filter(([, { bit }]) => (bits >> BigInt(bit)) & 1n)
    .map(([name]) => name)
}

/** The rights that groups and names of a rule stand for. */
export function expandAccess(access: readonly LandlockAccess[]): LandlockFsRight[] {
  return access.flatMap((name): readonly LandlockFsRight[] =>
    name === 'read' || name === 'write' ? LANDLOCK_ACCESS_GROUPS[name] : [name],
  )
}
