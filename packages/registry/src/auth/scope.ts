/**
 * A set of access scopes as a bearer challenge and a token request write them:
 * `repository:NAME:pull,push`, `registry:catalog:*`. Names may hold colons, actions may not.
 *
 * Source: distribution, docs/spec/auth/scope.md.
 */
export type Scopes = readonly string[]

/** The scope for doing these things to a repository. */
export function repositoryScope(repository: string, ...actions: string[]): string {
  return `repository:${repository}:${actions.join(',')}`
}

/** The scopes of a `scope` parameter, which spaces separate. */
export function parseScopes(text: string | undefined): Scopes {
  return unionScopes(text === undefined ? [] : text.split(' ').filter((scope) => scope !== ''))
}

/** All of these together: one scope for each resource, with its actions in alphabetical order. */
export function unionScopes(...lists: Scopes[]): Scopes {
  return [...actionsByResource(lists.flat())].map(([resource, actions]) =>
    actions === undefined ? resource : `${resource}:${[...actions].sort().join(',')}`,
  )
}

/** Whether who has the one set of scopes may do everything in the other. */
export function coversScopes(have: Scopes, want: Scopes): boolean {
  const held = actionsByResource(have)
  return [...actionsByResource(want)].every(([resource, actions]) => {
    if (!held.has(resource)) return false
    const allowed = held.get(resource)
    if (actions === undefined || allowed === undefined) return actions === allowed
    return allowed.has('*') || [...actions].every((action) => allowed.has(action))
  })
}

/** The actions for each resource (`repository:NAME`); a scope of any other form is kept as it is, without. */
function actionsByResource(scopes: Scopes): Map<string, Set<string> | undefined> {
  const found = new Map<string, Set<string> | undefined>()
  for (const scope of scopes) {
    const [, resource, list] = /^([^:]+:.+):([^:]*)$/.exec(scope) ?? []
    if (resource === undefined || list === undefined) {
      found.set(scope, undefined)
      continue
    }
    const actions = list.split(',').filter((action) => action !== '')
    found.set(resource, new Set([...(found.get(resource) ?? []), ...actions]))
  }
  return found
}
