import { chmodSync, existsSync, lstatSync, readdirSync, rmSync } from 'node:fs'

/** Remove a directory even where overlayfs or a test left others in it without any permission. */
export function removeTree(path: string): void {
  if (!existsSync(path)) return
  open(Buffer.from(path))
  rmSync(path, { recursive: true, force: true })
}

/** Names are bytes: a damaged configuration makes some that are no UTF-8. */
function open(path: Buffer): void {
  if (!lstatSync(path).isDirectory()) return
  chmodSync(path, 0o700)
  for (const name of readdirSync(path, { encoding: 'buffer' })) {
    open(Buffer.concat([path, Buffer.from('/'), name]))
  }
}
