import { execFileSync } from 'node:child_process'
import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type ApplyLayerOptions, applyLayer, type LayerResult } from './apply-layer.ts'
import { type LiteralEntry, tar } from './literal-tar.test.fixture.ts'
import { type NativeFs, S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT } from './native-fs.ts'
import { removeTree } from './remove-tree.ts'

/** A directory that is gone after the test. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'cromwell-rootfs-'))
  onTestFinished(() => removeTree(directory))
  return directory
}

export const isRoot = process.getuid?.() === 0

/** `bytes` in pieces of `size`. */
export async function* chunks(bytes: Buffer, size = 65_536): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

/** Apply a literal layer to a directory, in place unless told otherwise. */
export function apply(
  entries: readonly LiteralEntry[] | Buffer,
  directory: string,
  options: Partial<ApplyLayerOptions> = {},
): Promise<LayerResult> {
  const bytes = Buffer.isBuffer(entries) ? entries : tar(entries)
  return applyLayer(chunks(bytes), directory, {
    ownership: isRoot ? 'preserve' : 'squash',
    whiteouts: 'apply',
    ...options,
  })
}

/** One line per path: type, mode, content or target. What tests compare. */
export function describeTree(directory: string): Record<string, string> {
  const lines: Record<string, string> = {}
  const visit = (path: string): void => {
    for (const name of readdirSync(join(directory, path)).sort()) {
      const child = path === '' ? name : `${path}/${name}`
      lines[child] = describe(join(directory, child))
      if (lstatSync(join(directory, child)).isDirectory()) visit(child)
    }
  }
  visit('')
  return lines
}

function describe(path: string): string {
  const stat = lstatSync(path)
  const mode = (stat.mode & 0o7777).toString(8)
  if (stat.isDirectory()) return `directory ${mode} @${stat.mtimeMs / 1000}`
  if (stat.isSymbolicLink()) return `symlink ${readlinkSync(path)} @${stat.mtimeMs / 1000}`
  if (stat.isFile()) return `file ${mode} ${readFileSync(path, 'latin1')} @${stat.mtimeMs / 1000}`
  return stat.isFIFO() ? `fifo ${mode}` : `device ${mode} ${stat.rdev}`
}

/** {@link NativeFs} by the programs of coreutils and attr, for tests without the addon. */
export const programNativeFs: NativeFs = {
  mknod(path, mode, dev) {
    const type = new Map([
      [S_IFCHR, 'c'],
      [S_IFBLK, 'b'],
      [S_IFIFO, 'p'],
    ]).get(mode & S_IFMT)
    const numbers = type === 'p' ? [] : [String(Math.floor(dev / 256) % 4096), String(dev % 256)]
    run('mknod', ['-m', '600', visible(path), type ?? '', ...numbers])
  },
  setxattr(path, name, value) {
    run('setfattr', [
      '-h',
      '-n',
      name,
      '-v',
      `0x${Buffer.from(value).toString('hex')}`,
      visible(path),
    ])
  },
  getxattr(path, name) {
    try {
      const output = run('getfattr', [
        '-h',
        '--absolute-names',
        '-e',
        'hex',
        '-n',
        name,
        visible(path),
      ])
      const hex = /=0x([0-9a-f]*)/.exec(output)?.[1]
      return hex === undefined ? undefined : Buffer.from(hex, 'hex')
    } catch {
      return undefined
    }
  },
  listxattr(path) {
    const output = run('getfattr', ['-h', '--absolute-names', '-m', '-', visible(path)])
    return output.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  },
  syncfs(path) {
    run('sync', ['-f', visible(path)])
  },
}

/** Only mknod: no extended attributes are looked for, which would cost a process each. */
export const whiteoutNativeFs: NativeFs = {
  ...programNativeFs,
  getxattr: () => undefined,
  listxattr: () => [],
}

/** Our descriptors, from the point of view of a child process. */
function visible(path: string | Buffer): string {
  return path.toString().replace(/^\/proc\/self\//, `/proc/${process.pid}/`)
}

function run(program: string, args: string[]): string {
  try {
    return execFileSync(program, args, { encoding: 'utf8', stdio: 'pipe' })
  } catch (cause) {
    const text = String(cause)
    const code = /not permitted/.test(text)
      ? 'EPERM'
      : /not supported/.test(text)
        ? 'ENOTSUP'
        : 'EIO'
    throw Object.assign(new Error(`${program}: ${text}`, { cause }), { code })
  }
}
