import type { SeccompOperator } from './profile.ts'

// The order in which libseccomp asks about the arguments of one call, since docker's and podman's
// profiles are enforced by it: each rule is a chain of 32-bit tests, and the chains of one call grow
// together into a tree where they begin with the same tests. What that does to rules that overlap
// is not written down anywhere; libseccomp.test.ts compares with the real one.

/** An argument comparison of a rule, after all defaults are filled in. */
export interface ArgTest {
  index: number
  op: SeccompOperator
  value: bigint
  valueTwo: bigint
}

/** What a program returns, and which rule says so (a JSON pointer). */
export interface Answer {
  value: number
  rule: string
}

/** One test of half an argument. */
export interface TreeNode {
  index: number
  high: boolean
  op: 'EQ' | 'MASKED_EQ' | 'GT' | 'GE'
  mask: number
  datum: number
  whenTrue: Branch
  whenFalse: Branch
  /** The operator of the rule that the test comes from, and its whole value: they give the order. */
  origin: { op: SeccompOperator; value: bigint }
}

/** Where it goes on after a test: deeper, to an answer, or (neither) to the next test beside it. */
export interface Branch {
  next?: Level
  answer?: Answer
}

/** Tests beside each other, the first to be asked first. Rules may share one. */
export type Level = TreeNode[]

/** All rules of one call: an answer whatever the arguments, or tests. */
export type CallRules = { answer: Answer } | { level: Level }

/**
 * Adds a rule to those of its call; false when it contradicts one of them, which libseccomp and
 * with it docker refuse, too.
 */
export function addRule(
  rules: CallRules | undefined,
  answer: Answer,
  args: readonly ArgTest[],
): CallRules | false {
  const chain = chainOf(answer, args)
  if (rules === undefined) return chain === undefined ? { answer } : { level: [chain] }
  if ('answer' in rules) return rules
  if (chain === undefined) return { answer }
  return addToLevel(rules.level, chain) ? rules : false
}

/** What the rules say about a call with these arguments; undefined for the default. */
export function decide(level: Level, args: readonly bigint[]): Answer | undefined {
  for (const node of level) {
    const { next, answer } = holds(node, args) ? node.whenTrue : node.whenFalse
    const found = next === undefined ? answer : decide(next, args)
    if (found !== undefined) return found
  }
  return undefined
}

function holds({ index, high, op, mask, datum }: TreeNode, args: readonly bigint[]): boolean {
  const arg = args[index] ?? 0n
  const half = (Number(high ? arg >> 32n : arg & 0xffffffffn) & mask) >>> 0
  if (op === 'GT') return half > datum
  return op === 'GE' ? half >= datum : half === datum
}

/** One rule alone, in the order of its arguments; undefined when it asks about nothing. */
function chainOf(answer: Answer, args: readonly ArgTest[]): TreeNode | undefined {
  const sorted = [...args].sort((left, right) => left.index - right.index)
  let after: Branch = { answer }
  let first: TreeNode | undefined
  for (const arg of sorted.reverse()) {
    if (arg.op === 'SCMP_CMP_MASKED_EQ' && arg.value === 0n) continue
    first = testsOf(arg, after)
    after = { next: [first] }
  }
  return first
}

/** BPF computes in 32 bits: the high half first, then the low one. */
function testsOf(arg: ArgTest, match: Branch): TreeNode {
  const masked = arg.op === 'SCMP_CMP_MASKED_EQ'
  const mask = masked ? arg.value : ALL_BITS
  const value = masked ? arg.valueTwo & mask : arg.value
  const test = (high: boolean, op: TreeNode['op'], whenTrue: Branch, whenFalse: Branch) => ({
    index: arg.index,
    high,
    op,
    mask: half(mask, high),
    datum: half(value, high),
    whenTrue: { ...whenTrue },
    whenFalse: { ...whenFalse },
    origin: { op: arg.op, value },
  })
  const fail: Branch = {}
  const equal = masked ? 'MASKED_EQ' : 'EQ'
  switch (arg.op) {
    case 'SCMP_CMP_EQ':
    case 'SCMP_CMP_MASKED_EQ':
      return test(true, equal, { next: [test(false, equal, match, fail)] }, fail)
    case 'SCMP_CMP_NE':
      return test(true, equal, { next: [test(false, equal, fail, match)] }, match)
    case 'SCMP_CMP_GT':
    case 'SCMP_CMP_GE': {
      const low = test(false, arg.op === 'SCMP_CMP_GT' ? 'GT' : 'GE', match, fail)
      return test(true, 'GT', match, { next: [test(true, 'EQ', { next: [low] }, fail)] })
    }
    case 'SCMP_CMP_LT':
    case 'SCMP_CMP_LE': {
      const low = test(false, arg.op === 'SCMP_CMP_LE' ? 'GT' : 'GE', fail, match)
      return test(true, 'GT', fail, { next: [test(true, 'EQ', { next: [low] }, match)] })
    }
  }
}

const ALL_BITS = 0xffffffffffffffffn

function half(value: bigint, high: boolean): number {
  return Number(high ? value >> 32n : value & 0xffffffffn)
}

function addToLevel(level: Level, added: TreeNode): boolean {
  for (const [at, node] of level.entries()) {
    if (isSame(node, added)) return mergeInto(node, added)
    if (comesBefore(added, node)) {
      level.splice(at, 0, added)
      return true
    }
  }
  level.push(added)
  return true
}

function isSame(a: TreeNode, b: TreeNode): boolean {
  return place(a) === place(b) && a.op === b.op && a.datum === b.datum && a.mask === b.mask
}

/** Later arguments first, high halves before low ones. */
function place({ index, high }: TreeNode): number {
  return 2 * index + (high ? 1 : 0)
}

const OPERATOR_RANK: Record<SeccompOperator, number> = {
  SCMP_CMP_EQ: 3,
  SCMP_CMP_NE: 3,
  SCMP_CMP_MASKED_EQ: 3,
  SCMP_CMP_LE: 2,
  SCMP_CMP_LT: 2,
  SCMP_CMP_GE: 1,
  SCMP_CMP_GT: 1,
}

function comesBefore(a: TreeNode, b: TreeNode): boolean {
  if (place(a) !== place(b)) return place(a) > place(b)
  const rankA = OPERATOR_RANK[a.origin.op]
  const rankB = OPERATOR_RANK[b.origin.op]
  if (rankA !== rankB) return rankA > rankB
  return rankB === OPERATOR_RANK.SCMP_CMP_LE ? a.datum < b.datum : a.datum > b.datum
}

function mergeInto(node: TreeNode, added: TreeNode): boolean {
  if (!mergeAnswer(node, added, 'whenTrue') || !mergeAnswer(node, added, 'whenFalse')) return false
  for (const side of ['whenTrue', 'whenFalse'] as const) {
    const { next } = added[side]
    if (next === undefined) continue
    const existing = node[side]
    if (existing.next !== undefined) {
      const level = existing.next
      if (!next.every((one) => addToLevel(level, one))) return false
    } else if (existing.answer === undefined) existing.next = next
    // otherwise an existing shorter rule is enough
  }
  return true
}

function mergeAnswer(node: TreeNode, added: TreeNode, side: 'whenTrue' | 'whenFalse'): boolean {
  const existing = node[side]
  const { answer } = added[side]
  if (answer === undefined) return true
  if (existing.answer === undefined) {
    // the shorter rule takes the place of longer ones, provided that they say the same
    if (existing.next !== undefined && !allAnswer(existing.next, answer.value)) return false
    delete existing.next
    existing.answer = answer
    return true
  }
  if (existing.answer.value === answer.value) return true
  const wider =
    side === 'whenTrue'
      ? added.origin.value > node.origin.value
      : added.origin.value < node.origin.value
  if (added.high && wider) node.whenTrue.answer = answer
  return !isLeaf(node) && !isLeaf(added)
}

function isLeaf({ whenTrue, whenFalse }: TreeNode): boolean {
  return whenTrue.next === undefined && whenFalse.next === undefined
}

function allAnswer(level: Level, value: number): boolean {
  return level.every((node) =>
    [node.whenTrue, node.whenFalse].every(
      ({ answer, next }) =>
        (answer === undefined || answer.value === value) &&
        (next === undefined || allAnswer(next, value)),
    ),
  )
}
