/** What is left of the pieces after so many bytes: the system may write fewer than it was given. */
export function withoutFirst(pieces: Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes
  const left: Uint8Array[] = []
  for (const piece of pieces) {
    const done = Math.min(skip, piece.byteLength)
    skip -= done
    if (done < piece.byteLength) left.push(done === 0 ? piece : piece.subarray(done))
  }
  return left
}
