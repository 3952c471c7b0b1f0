import { createHash } from 'node:crypto'

/**
 * The chainID of each prefix of a stack of layers, base first: what identifies a layer together with all
 * that is below it. OCI image-spec, config.md, "Layer ChainID".
 */
export function chainIds(diffIds: readonly string[]): string[] {
  const chain: string[] = []
  for (const diffId of diffIds) {
    const below = chain.at(-1)
    chain.push(below === undefined ? diffId : sha256(`${below} ${diffId}`))
  }
  return chain
}

function sha256(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}
