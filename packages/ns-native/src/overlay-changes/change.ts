/** What a file is. */
export type FileKind =
  | 'file'
  | 'directory'
  | 'symlink'
  | 'fifo'
  | 'socket'
  | 'character-device'
  | 'block-device'

/** One difference between what an overlay shows and the layers that it lies on. */
export interface OverlayChange {
  /**
   * `delete` of a directory stands for all that was in it; so does a `modify` that makes a directory
   * something else.
   */
  type: 'add' | 'modify' | 'delete'
  /** Below the overlay, absolute, as text. */
  path: string
  /** The same as its bytes, where those are no UTF-8. */
  rawPath?: Uint8Array
  /** What it is now, or before it was deleted. */
  kind: FileKind
  /** What it was before, where that is not what it is now. */
  previousKind?: FileKind
  /** 12 bits; of what is not deleted. */
  mode?: number
  /** Ids inside, if the container's id mapping was given. */
  uid?: number
  gid?: number
  /** Of a file. */
  sizeBytes?: number
  /** Of a symbolic link: its text. */
  target?: string
}
