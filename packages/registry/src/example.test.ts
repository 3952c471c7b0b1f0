import { execFile } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))

it("runs the README's program", async () => {
  const readme = await readFile(`${root}/README.md`, 'utf8')
  const program = /```ts\n(.*?)```/s.exec(readme)?.[1] ?? ''
  // Inside the package, whose own name then resolves to what was built.
  const path = `${root}/.readme-${process.pid}.mjs`
  await writeFile(path, program)
  try {
    const { stdout } = await run(process.execPath, [path])
    const lines = stdout.trimEnd().split('\n')
    expect(lines.slice(0, 3)).toEqual(['resolve', 'resolved', 'layer-start'])
    expect(lines.at(-1)).toBe("downloaded [ '/bin/hi' ] 1")
  } finally {
    await rm(path, { force: true })
  }
})
