import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { requires, requiresProgram } from '@cromwell/test-support'
import type { TestContext } from 'vitest'
import type { SeccompArch, SeccompOperator } from './profile.ts'

/** A rule as runc hands it to libseccomp. */
export interface PlainRule {
  name: string
  action: number
  args: { index: number; op: SeccompOperator; value: bigint; valueTwo: bigint }[]
}

export interface PlainProfile {
  arch: SeccompArch
  otherwise: number
  rules: PlainRule[]
}

const ARCHES = { x64: 'x86_64', arm64: 'aarch64' }
/** `enum scmp_compare` of seccomp.h. */
const OPERATORS: Record<SeccompOperator, number> = {
  SCMP_CMP_NE: 1,
  SCMP_CMP_LT: 2,
  SCMP_CMP_LE: 3,
  SCMP_CMP_EQ: 4,
  SCMP_CMP_GE: 5,
  SCMP_CMP_GT: 6,
  SCMP_CMP_MASKED_EQ: 7,
}

let directory: string | undefined

/** Builds the program that asks libseccomp; skips without a compiler or libseccomp-dev. */
export function buildLibseccompProgram(context: TestContext): string {
  const compiler = requiresProgram(context, 'cc')
  directory ??= mkdtempSync(join(tmpdir(), 'cromwell-libseccomp-'))
  const program = join(directory, 'libseccomp')
  const source = fileURLToPath(new URL('./libseccomp.c', import.meta.url))
  const built = spawnSync(compiler, ['-O1', '-o', program, source, '-lseccomp'], {
    encoding: 'utf8',
  })
  const why = `cannot build with libseccomp-dev: ${built.stderr}`
  requires(context, 'libseccomp', built.status === 0, why)
  return program
}

export function removeLibseccompProgram(): void {
  if (directory !== undefined) rmSync(directory, { recursive: true })
  directory = undefined
}

/** What libseccomp makes of profiles: a BPF program, or undefined where it refuses a rule. */
export function compileByLibseccomp(
  program: string,
  profiles: readonly PlainProfile[],
): (Uint8Array | undefined)[] {
  const { status, stdout, stderr } = spawnSync(program, { input: profiles.map(toLines).join('') })
  if (status !== 0) throw new Error(`libseccomp failed: ${status} ${stderr}`)
  const answers: (Uint8Array | undefined)[] = []
  let at = 0
  while (at < stdout.length) {
    const end = stdout.indexOf('\n', at)
    const line = stdout.toString('latin1', at, end)
    at = end + 1
    if (line.startsWith('refused')) answers.push(undefined)
    else {
      answers.push(new Uint8Array(stdout.subarray(at, at + Number(line))))
      at += Number(line)
    }
  }
  return answers
}

function toLines({ arch, otherwise, rules }: PlainProfile): string {
  const lines = rules.map(({ name, action, args }) => {
    const tests = args.map(
      ({ index, op, value, valueTwo }) => ` ${index} ${OPERATORS[op]} ${value} ${valueTwo}`,
    )
    return `rule ${action} ${name} ${args.length}${tests.join('')}\n`
  })
  return `profile ${ARCHES[arch]} ${otherwise}\n${lines.join('')}end\n`
}
