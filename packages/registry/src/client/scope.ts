import type { Reference } from '../image/reference.ts'

type Action = 'pull' | 'push' | 'delete'

/** Access to a repository, in the token service's form. Source: distribution, docs/spec/auth/scope.md. */
export function repositoryScope(
  { repository }: Pick<Reference, 'repository'>,
  ...actions: Action[]
): string {
  return `repository:${repository}:${actions.join(',')}`
}

/** Access to the list of all repositories. */
export const CATALOG_SCOPE = 'registry:catalog:*'
