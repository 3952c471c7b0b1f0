/**
 * Set the terminal back to its present mode when this process ends, whichever way but kill -9. The
 * monitor, which makes it raw, does the same when it ends: only the death of both at once is not covered.
 */
export async function restoreTerminalOnExit(fd: number): Promise<void> {
  const { terminal } = await import('@cromwell/ns-native')
  const state = terminal.save(fd)
  process.on('exit', () => {
    try {
      terminal.restore(fd, state)
    } catch {
      // the terminal itself is gone: its window was closed
    }
  })
}
