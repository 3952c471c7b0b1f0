import fc from 'fast-check'
import { dir, file, hardlink, type LiteralEntry, symlink } from './literal-tar.test.fixture.ts'

/**
 * The image-spec's rules in the plainest form that we could think of: a tree of objects, changed entry by
 * entry. It shares no code with what it judges.
 */
export type ModelNode =
  | {
      kind: 'directory'
      mode: number
      mtime: number
      layer: number
      children: Map<string, ModelNode>
    }
  | { kind: 'file'; mode: number; mtime: number; layer: number; content: string }
  | { kind: 'symlink'; mtime: number; layer: number; target: string }

type ModelDirectory = Extract<ModelNode, { kind: 'directory' }>

const NOBODY = -1

function implicitDirectory(): ModelDirectory {
  return { kind: 'directory', mode: 0o755, mtime: 0, layer: NOBODY, children: new Map() }
}

export class Model {
  readonly root = implicitDirectory()

  /** Apply one entry of layer number `layer`; false (and no change) if the rules forbid it. */
  apply(entry: LiteralEntry, layer: number): boolean {
    const parts = String(entry.name)
      .split('/')
      .filter((part) => part !== '')
    const name = parts.pop() ?? ''
    const parent = this.#walk(parts)
    if (parent === undefined) return false
    if (name === '.wh..wh..opq') {
      const place = this.#get(parent)
      if (place?.kind === 'directory')
        for (const child of [...place.children.keys()]) hide(place, child, layer)
      return true
    }
    if (name.startsWith('.wh.')) {
      const place = this.#get(parent)
      if (place?.kind === 'directory') hide(place, name.slice(4), layer)
      return true
    }
    if (entry.typeflag === '1') return this.#link(parent, name, String(entry.link), layer)
    const place = this.#make(parent)
    if (place === undefined) return false
    place.children.set(name, fresh(entry, layer, place.children.get(name)))
    return true
  }

  /** The same lines that `describeTree` makes of a directory. */
  describe(): Record<string, string> {
    const lines: Record<string, string> = {}
    const visit = (node: ModelDirectory, path: string): void => {
      for (const [name, child] of [...node.children].sort(([a], [b]) => (a < b ? -1 : 1))) {
        const childPath = path === '' ? name : `${path}/${name}`
        lines[childPath] = line(child)
        if (child.kind === 'directory') visit(child, childPath)
      }
    }
    visit(this.root, '')
    return lines
  }

  /** Names from the root, with every symlink replaced; undefined for a loop. */
  #walk(parts: string[]): string[] | undefined {
    let path: string[] = []
    const todo = [...parts]
    let hops = 0
    while (todo.length > 0) {
      const part = todo.shift() ?? ''
      if (part === '' || part === '.') continue
      if (part === '..') {
        path.pop()
        continue
      }
      const node = this.#get([...path, part])
      if (node?.kind !== 'symlink') {
        path.push(part)
        continue
      }
      if (++hops > 40) return undefined
      if (node.target.startsWith('/')) path = []
      todo.unshift(...node.target.split('/'))
    }
    return path
  }

  #get(path: string[]): ModelNode | undefined {
    let node: ModelNode | undefined = this.root
    for (const part of path) node = node?.kind === 'directory' ? node.children.get(part) : undefined
    return node
  }

  #make(path: string[]): ModelDirectory | undefined {
    for (let length = 1; length <= path.length; length++) {
      const node = this.#get(path.slice(0, length))
      if (node !== undefined && node.kind !== 'directory') return undefined
    }
    let node = this.root
    for (const part of path) {
      const next = node.children.get(part) ?? implicitDirectory()
      if (next.kind !== 'directory') return undefined
      node.children.set(part, next)
      node = next
    }
    return node
  }

  #link(parent: string[], name: string, link: string, layer: number): boolean {
    const parts = link.split('/').filter((part) => part !== '')
    const last = parts.pop() ?? ''
    const targetParent = this.#walk(parts)
    if (targetParent === undefined) return false
    const targetPath = [...targetParent, last]
    const path = [...parent, name]
    const target = this.#get(targetPath)
    if (target === undefined || target.kind === 'directory') return false
    if (path.join('/') === targetPath.join('/')) return true
    if (targetPath.join('/').startsWith(`${path.join('/')}/`)) return false
    const place = this.#make(parent)
    if (place === undefined) return false
    place.children.set(name, { ...target, layer })
    return true
  }
}

function fresh(entry: LiteralEntry, layer: number, old: ModelNode | undefined): ModelNode {
  const mtime = entry.mtime ?? 0
  const mode = entry.mode ?? 0
  if (entry.typeflag === '2') return { kind: 'symlink', mtime, layer, target: String(entry.link) }
  if (entry.typeflag !== '5')
    return { kind: 'file', mode, mtime, layer, content: String(entry.content ?? '') }
  return {
    kind: 'directory',
    mode,
    mtime,
    layer,
    children: old?.kind === 'directory' ? old.children : new Map(),
  }
}

function isOwn(node: ModelNode, layer: number): boolean {
  if (node.layer === layer) return true
  return (
    node.kind === 'directory' && [...node.children.values()].some((child) => isOwn(child, layer))
  )
}

function hide(place: ModelDirectory, name: string, layer: number): void {
  const node = place.children.get(name)
  if (node === undefined) return
  if (!isOwn(node, layer)) {
    place.children.delete(name)
    return
  }
  if (node.kind !== 'directory') return
  for (const child of [...node.children.keys()]) hide(node, child, layer)
  if (node.layer !== layer)
    place.children.set(name, { ...implicitDirectory(), children: node.children })
}

function line(node: ModelNode): string {
  if (node.kind === 'symlink') return `symlink ${node.target} @${node.mtime}`
  const mode = node.mode.toString(8)
  if (node.kind === 'directory') return `directory ${mode} @${node.mtime}`
  return `file ${mode} ${node.content} @${node.mtime}`
}

const names = fc.constantFrom('a', 'b', 'c')
const paths = fc.array(names, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'))
const targets = fc.oneof(
  paths,
  paths.map((path) => `/${path}`),
  paths.map((path) => `../${path}`),
  fc.constantFrom('.', '/', '../..', '../../../../../etc'),
)
const meta = fc.record({
  mode: fc.constantFrom(0o755, 0o700, 0o775, 0o1777),
  mtime: fc.integer({ min: 1, max: 4_000_000 }),
})
const entries: fc.Arbitrary<LiteralEntry> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(paths, fc.string({ unit: 'grapheme-ascii', maxLength: 3 }), meta)
      .map(([p, c, m]) => file(p, c, m)),
  },
  { weight: 4, arbitrary: fc.tuple(paths, meta).map(([p, m]) => dir(`${p}/`, m)) },
  {
    weight: 2,
    arbitrary: fc.tuple(paths, targets, meta).map(([p, t, m]) => symlink(p, t, { mtime: m.mtime })),
  },
  { weight: 2, arbitrary: fc.tuple(paths, paths).map(([p, t]) => hardlink(p, t)) },
  { weight: 3, arbitrary: paths.map((path) => file(path.replace(/([^/]+)$/, '.wh.$1'))) },
  { weight: 1, arbitrary: paths.map((path) => file(`${path}/.wh..wh..opq`)) },
  { weight: 1, arbitrary: fc.constant(file('.wh..wh..opq')) },
)

/** Stacks of up to three layers; entries that the model refuses are left out. */
export const stacks: fc.Arbitrary<{ layers: LiteralEntry[][]; model: Model }> = fc
  .array(fc.array(entries, { maxLength: 10 }), { minLength: 2, maxLength: 3 })
  .map((candidates) => {
    const model = new Model()
    const layers = candidates.map((layer, index) =>
      layer.filter((entry) => model.apply(entry, index)),
    )
    return { layers, model }
  })
