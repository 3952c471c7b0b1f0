import { execFileSync } from 'node:child_process'
import {
  chmod,
  mkdir,
  readdir,
  readFile,
  readlink,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { requiresProgram } from '@cromwell/test-support'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { updateAuthFile } from './auth-file-update.ts'
import {
  type AuthDirectory,
  base64,
  failureOf,
  makeAuthDirectory,
} from './auth-files.test.fixture.ts'

let directory: AuthDirectory
let file: string

beforeEach(async () => {
  directory = await makeAuthDirectory()
  file = join(directory.path, 'config.json')
})

afterEach(() => directory.remove())

const content = {
  auths: { 'a.example': { auth: base64('u:p'), email: 'e' } },
  HttpHeaders: { 'X-Meta-A': 'b' },
  psFormat: 'table {{.ID}}',
  nested: { list: [1, { two: null }], empty: {} },
}

function addMember(document: Record<string, unknown>): boolean {
  document['added'] = true
  return true
}

describe('updateAuthFile', () => {
  it('makes a file that only its owner reads, in a directory of that kind', async () => {
    const path = join(directory.path, 'new/deep/auth.json')
    await updateAuthFile(path, addMember)
    expect(await readFile(path, 'utf8')).toBe('{\n\t"added": true\n}\n')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await stat(join(directory.path, 'new'))).mode & 0o777).toBe(0o700)
    expect(await readdir(join(directory.path, 'new/deep'))).toEqual(['auth.json'])
  })

  it.each([
    ['tabs', '\t', '\n'],
    ['two spaces', '  ', ''],
  ])('keeps everything it does not know, and %s', async (_, indentation, end) => {
    await writeFile(file, JSON.stringify(content, null, indentation) + end)
    await chmod(file, 0o644)
    await updateAuthFile(file, addMember)
    const expected = { ...content, added: true }
    expect(await readFile(file, 'utf8')).toBe(JSON.stringify(expected, null, indentation) + end)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })

  it('leaves alone a file in which nothing changes', async () => {
    await writeFile(file, JSON.stringify(content))
    const state = async () => {
      const { ino, mode, mtimeMs, ctimeMs } = await stat(file)
      return { ino, mode, mtimeMs, ctimeMs }
    }
    const before = await state()
    await updateAuthFile(file, () => false)
    expect(await state()).toEqual(before)
  })

  it.each([
    ['there', true],
    ['not there yet', false],
  ])('keeps a link a link, to a file that is %s', async (_, exists) => {
    await mkdir(join(directory.path, 'dotfiles'))
    const target = join(directory.path, 'dotfiles/docker.json')
    if (exists) await writeFile(target, JSON.stringify(content))
    await symlink('dotfiles/docker.json', file)
    const outer = join(directory.path, 'outer.json')
    await symlink(file, outer)
    await updateAuthFile(outer, addMember)
    expect(await readlink(file)).toBe('dotfiles/docker.json')
    expect(await readlink(outer)).toBe(file)
    expect(JSON.parse(await readFile(target, 'utf8'))).toEqual({
      ...(exists && content),
      added: true,
    })
  })

  it('refuses a link that leads to itself', async () => {
    await symlink(file, file)
    expect(await failureOf(updateAuthFile(file, addMember))).toMatchObject({
      code: 'ERR_REGISTRY_CREDENTIALS',
      path: file,
    })
  })

  it('does not touch a file that it does not understand', async () => {
    await writeFile(file, '{"s3cret')
    const failure = await failureOf(updateAuthFile(file, addMember))
    expect(failure).toMatchObject({ code: 'ERR_REGISTRY_CREDENTIALS', path: file })
    expect(JSON.stringify(failure)).not.toContain('s3cret')
    expect(await readFile(file, 'utf8')).toBe('{"s3cret')
    expect(await readdir(directory.path)).toEqual(['config.json'])
  })

  it('leaves everything as it was when nothing can be written, and advises to remove nothing', async (context) => {
    const prlimit = requiresProgram(context, 'prlimit')
    await writeFile(file, JSON.stringify(content))
    // A file that may not grow fails as on a full disk: opened, but not written.
    const limit = (bytes: string) =>
      execFileSync(prlimit, ['--pid', `${process.pid}`, `--fsize=${bytes}:`])
    limit('0')
    const failure = await failureOf(updateAuthFile(file, addMember)).finally(() =>
      limit('unlimited'),
    )
    expect(failure).toMatchObject({ code: 'ERR_REGISTRY_CREDENTIALS', path: file })
    expect(failure.message).toContain('cannot keep credentials')
    expect(failure).toHaveProperty('hint', expect.not.stringContaining('remove'))
    expect(await readdir(directory.path)).toEqual(['config.json'])
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(content)
  })

  it('names a file that cannot be written', async () => {
    const path = join(file, 'config.json')
    await writeFile(file, '{}')
    expect(await failureOf(updateAuthFile(path, addMember))).toMatchObject({
      code: 'ERR_REGISTRY_CREDENTIALS',
      path,
      message: expect.stringMatching(/ENOTDIR|EEXIST/),
    })
  })

  it('looks again when somebody without our lock has changed the file meanwhile', async () => {
    await writeFile(file, '{}')
    const { writeFileSync } = await import('node:fs')
    let runs = 0
    await updateAuthFile(file, (document) => {
      runs += 1
      if (runs === 1) writeFileSync(file, '{"theirs": 1}')
      return addMember(document)
    })
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ theirs: 1, added: true })
  })

  it('loses nothing when several write at once', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `n${index}`)
    await Promise.all(
      names.map((name) =>
        updateAuthFile(file, (document) => {
          document[name] = true
          return true
        }),
      ),
    )
    expect(Object.keys(JSON.parse(await readFile(file, 'utf8'))).sort()).toEqual([...names].sort())
    expect(await readdir(directory.path)).toEqual(['config.json'])
  })
})
