/** What a token is for, such as `repository:library/alpine:pull,push` (distribution, "Token Scope Documentation"). */
export interface AccessScope {
  type: string
  name: string
  actions: string[]
}

/** Read scopes that are separated by spaces; what is none is left out. */
export function parseScopes(text: string): AccessScope[] {
  return text.split(' ').flatMap((scope) => {
    const [, type, name, actions] = /^([^:]+):(.+):([^:]*)$/.exec(scope) ?? []
    if (type === undefined || name === undefined || actions === undefined) return []
    return [{ type, name, actions: actions.split(',').filter((action) => action !== '') }]
  })
}

/** The scope as text. */
export function formatScope({ type, name, actions }: AccessScope): string {
  return `${type}:${name}:${actions.join(',')}`
}

/** A scope for actions on a repository. */
export function repositoryScope(name: string, ...actions: string[]): AccessScope {
  return { type: 'repository', name, actions }
}
