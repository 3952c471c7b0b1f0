import { chmodSync, existsSync, lstatSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** Remove a directory even where overlayfs or a test left others in it without any permission. */
export function removeTree(path: string): void {
  if (!existsSync(path)) return
  open(path)
  rmSync(path, { recursive: true, force: true })
}

function open(path: string): void {
  if (!lstatSync(path).isDirectory()) return
  chmodSync(path, 0o700)
  for (const name of readdirSync(path)) open(join(path, name))
}
