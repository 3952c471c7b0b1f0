import { BPF, type Instruction, SECCOMP_DATA } from './bpf.ts'
import { load, returns } from './program.ts'
import type { Branch, Level, TreeNode } from './rule-tree.ts'

/** A conditional jump reaches 255 instructions far; some less leaves room for what comes between. */
const REACH = 250

const TESTS = {
  EQ: BPF.IF_EQUAL,
  MASKED_EQ: BPF.IF_EQUAL,
  GT: BPF.IF_GREATER,
  GE: BPF.IF_GREATER_OR_EQUAL,
} as const

/** The code that answers one call by its tree of tests, and by `otherwise` when none applies. */
export function treeCode(tree: Level, otherwise: number): Instruction[] {
  const code = new BackwardCode()
  const start = code.level(tree, code.answer(otherwise))
  return code.from(start)
}

/**
 * BPF jumps forward only, so the code is written from its end: where a jump goes is there already.
 * A place is the number of instructions from it to the end.
 */
class BackwardCode {
  readonly #instructions: Instruction[] = []
  readonly #answers = new Map<number, number>()
  readonly #levels = new Map<Level, Map<number, number>>()

  /** Returns the place where the tests begin; they go on at `after` when none applies. */
  level(level: Level, after: number): number {
    const places = this.#levels.get(level) ?? new Map<number, number>()
    this.#levels.set(level, places)
    const known = places.get(after)
    if (known !== undefined) return known
    const start = level.reduceRight((next, node) => this.#node(node, next), after)
    places.set(after, start)
    return start
  }

  answer(value: number): number {
    const known = this.#answers.get(value)
    if (known !== undefined && this.#instructions.length - known < REACH) return known
    const place = this.#put(returns(value))
    this.#answers.set(value, place)
    return place
  }

  /** Everything, to be entered at its first instruction. */
  from(start: number): Instruction[] {
    if (start !== this.#instructions.length) this.#jump(start)
    return [...this.#instructions].reverse()
  }

  #node({ index, high, op, mask, datum, whenTrue, whenFalse }: TreeNode, after: number): number {
    const no = this.#branch(whenFalse, after)
    const yes = this.#branch(whenTrue, after)
    if (mask === 0) return yes
    const farNo = this.#near(no)
    const farYes = this.#near(yes)
    const here = this.#instructions.length
    this.#put({ code: TESTS[op], jt: here - farYes, jf: here - farNo, k: datum })
    if (mask !== 0xffffffff) this.#put({ code: BPF.AND, jt: 0, jf: 0, k: mask })
    return this.#put(load(SECCOMP_DATA.ARGS + 8 * index + (high ? 4 : 0)))
  }

  #branch({ next, answer }: Branch, after: number): number {
    if (next !== undefined) return this.level(next, after)
    return answer === undefined ? after : this.answer(answer.value)
  }

  #near(place: number): number {
    return this.#instructions.length - place < REACH ? place : this.#jump(place)
  }

  #jump(place: number): number {
    return this.#put({ code: BPF.JUMP, jt: 0, jf: 0, k: this.#instructions.length - place })
  }

  #put(instruction: Instruction): number {
    return this.#instructions.push(instruction)
  }
}
