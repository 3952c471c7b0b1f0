import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Replace a file as a whole: readers see the old text or the new, never a part.
 * With `durable` the same holds across a power failure, at the price of two fsync(2).
 */
export function replaceFile(path: string, text: string, { durable }: { durable: boolean }): void {
  const temporary = `${path}.${process.pid}.tmp`
  try {
    writeWhole(temporary, text, durable)
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
  if (durable) syncDirectory(dirname(path))
}

/** Make the names in a directory survive a power failure. */
export function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function writeWhole(path: string, text: string, durable: boolean): void {
  const descriptor = openSync(path, 'w', 0o600)
  try {
    writeSync(descriptor, text)
    if (durable) fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
