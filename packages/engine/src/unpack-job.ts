import type { FlattenResult, LayerProgress, LayerResult, Ownership } from '@cromwell/rootfs'

/** What an unpack worker is asked for: one JSON object a line, done one after the other. */
export type UnpackJob =
  | {
      kind: 'apply'
      path: string
      directory: string
      lowerDirs: string[]
      expectDiffId: string
      ownership: Ownership
    }
  | { kind: 'flatten'; lowerDirs: string[]; target: string; ownership: Ownership }
  | { kind: 'remove'; path: string }

/** What it answers: any number of `progress`, then `done` or `failed`. One JSON object a line. */
export type UnpackAnswer =
  | ({ type: 'progress' } & LayerProgress)
  | { type: 'done'; result?: LayerResult | FlattenResult }
  | { type: 'failed'; error: TransportedError }

/** An error on its way between processes. */
export interface TransportedError {
  name: string
  message: string
  code?: string
  entry?: string
  path?: string
  limit?: string
  hint?: string
}

/** The part of an error that can be sent. */
export function packError(error: unknown): TransportedError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) }
  const packed: TransportedError = { name: error.name, message: error.message }
  for (const key of ['code', 'entry', 'path', 'limit', 'hint'] as const) {
    const value: unknown = Reflect.get(error, key)
    if (typeof value === 'string') packed[key] = value
  }
  return packed
}
