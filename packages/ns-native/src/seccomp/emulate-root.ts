import {
  AUDIT_ARCH,
  BPF,
  decodeInstructions,
  encodeInstructions,
  type Instruction,
  MAX_INSTRUCTIONS,
  SECCOMP_DATA,
  SECCOMP_RETURN,
} from './bpf.ts'
import type { SeccompArch } from './profile.ts'
import { findNumber, load, returns } from './program.ts'
import { syscallNumbers } from './syscall-table.ts'

/** Which ids the kernel really has for the process. */
export interface MappedIds {
  uid: number
  gid: number
}

// Which part of a call says what: the numbers of its arguments.
const CHOWNS = { chown: 1, lchown: 1, fchown: 1, fchownat: 2 } as const
const MKNODS = { mknod: 1, mknodat: 2 } as const
/** Answered by the monitor (native/init/emulate-root.c), which remembers who believes to be whom. */
const IDENTITY = `setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups
  getuid geteuid getgid getegid getresuid getresgid getgroups`.split(/\s+/)
/** Where the monitor remembers it. */
const RLIMIT_LOCKS = 10

const PR_GET_KEEPCAPS = 7
const PR_SET_KEEPCAPS = 8
const NO_ID = 0xffffffff
const S_IFMT = 0o170000
const S_IFCHR = 0o020000
const S_IFBLK = 0o060000
const EPERM = 1
const RETURN_A = 0x16

const ALLOW = returns(SECCOMP_RETURN.SCMP_ACT_ALLOW)
const SUCCESS = returns(SECCOMP_RETURN.SCMP_ACT_ERRNO)
const REFUSE = returns(SECCOMP_RETURN.SCMP_ACT_ERRNO | EPERM)
const ASK = returns(SECCOMP_RETURN.SCMP_ACT_NOTIFY)

/**
 * The same filter for a root that has one id only: calls that it allows, and that the kernel would
 * refuse for want of ids, are answered as a root with all ids would see them. What it does not allow
 * stays as it is. Works on any program; what it returns for "allow" jumps to the additions instead.
 *
 * @throws RangeError when the kernel would not take so long a program
 */
export function emulateRoot(program: Uint8Array, arch: SeccompArch, ids: MappedIds): Uint8Array {
  const own = decodeInstructions(program)
  const answers = answersOf(arch, ids)
  const additions = [
    // entered here by what returns A, which may hold any answer
    { code: BPF.IF_EQUAL, jt: 1, jf: 0, k: SECCOMP_RETURN.SCMP_ACT_ALLOW },
    { code: RETURN_A, jt: 0, jf: 0, k: 0 },
    // and here by what returns "allow"
    load(SECCOMP_DATA.ARCH),
    { code: BPF.IF_EQUAL, jt: 1, jf: 0, k: AUDIT_ARCH[arch] },
    ALLOW,
    load(SECCOMP_DATA.NUMBER),
    ...findNumber(answers, ALLOW),
  ]
  const all = [
    ...own.map((instruction, at) => redirect(instruction, own.length - at - 1)),
    ...additions,
  ]
  if (all.length > MAX_INSTRUCTIONS) {
    throw new RangeError(`cannot add root emulation to a filter: ${all.length} instructions`)
  }
  return encodeInstructions(all)
}

function redirect(instruction: Instruction, toAdditions: number): Instruction {
  const jump = (k: number) => ({ code: BPF.JUMP, jt: 0, jf: 0, k })
  if (instruction.code === RETURN_A) return jump(toAdditions)
  const allows = instruction.code === BPF.RETURN && instruction.k === ALLOW.k
  return allows ? jump(toAdditions + 2) : instruction
}

function answersOf(arch: SeccompArch, ids: MappedIds): Map<number, Instruction[]> {
  const numbers = syscallNumbers(arch)
  const answers = new Map<number, Instruction[]>()
  const add = (name: string, code: Instruction[]) => {
    const number = numbers.get(name)
    if (number !== undefined) answers.set(number, code)
  }
  for (const [name, first] of Object.entries(CHOWNS)) add(name, chown(first, ids))
  for (const [name, mode] of Object.entries(MKNODS)) add(name, mknod(mode))
  for (const name of IDENTITY) add(name, [ASK])
  add('setrlimit', [low(0), unless(RLIMIT_LOCKS, 1), SUCCESS, ALLOW])
  add('prctl', [low(0), unless(PR_GET_KEEPCAPS, 1), ASK, unless(PR_SET_KEEPCAPS, 1), ASK, ALLOW])
  add('prlimit64', prlimit())
  return answers
}

/** To its own id, or none, it is done; to another it is said to be done. */
function chown(first: number, { uid, gid }: MappedIds): Instruction[] {
  return [
    low(first),
    { code: BPF.IF_EQUAL, jt: 1, jf: 0, k: NO_ID },
    unless(uid, 4),
    low(first + 1),
    { code: BPF.IF_EQUAL, jt: 1, jf: 0, k: NO_ID },
    unless(gid, 1),
    ALLOW,
    SUCCESS,
  ]
}

/** Devices are said to be made; all else is, and what overlayfs takes for a deletion. */
function mknod(mode: number): Instruction[] {
  return [
    low(mode),
    { code: BPF.AND, jt: 0, jf: 0, k: S_IFMT },
    { code: BPF.IF_EQUAL, jt: 4, jf: 0, k: S_IFBLK },
    unless(S_IFCHR, 2),
    low(mode + 1),
    unless(0, 1),
    ALLOW,
    SUCCESS,
  ]
}

/** Nobody else writes where the monitor remembers. */
function prlimit(): Instruction[] {
  const isZero = (offset: number, otherwise: number) => [
    load(SECCOMP_DATA.ARGS + offset),
    unless(0, otherwise),
  ]
  return [
    low(1),
    unless(RLIMIT_LOCKS, 4), // reading it, or another limit
    ...isZero(2 * 8, 3),
    ...isZero(2 * 8 + 4, 1),
    ALLOW,
    ...isZero(3 * 8, 3), // only setting can be played
    ...isZero(3 * 8 + 4, 1),
    SUCCESS,
    REFUSE,
  ]
}

function low(argument: number): Instruction {
  return load(SECCOMP_DATA.ARGS + 8 * argument)
}

/** Go on at the next instruction when A is k, else skip so many. */
function unless(k: number, skip: number): Instruction {
  return { code: BPF.IF_EQUAL, jt: 0, jf: skip, k: k >>> 0 }
}
