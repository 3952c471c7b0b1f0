const INTERVAL_MS = 100

/** Pass on how many bytes are there, at most every 100 ms and at the end: a chunk is no news. */
export function throttled(size: number, report: (bytes: number) => void): (bytes: number) => void {
  let last = Number.NEGATIVE_INFINITY
  return (bytes) => {
    const now = performance.now()
    if (bytes < size && now - last < INTERVAL_MS) return
    last = now
    report(bytes)
  }
}
