import type { Reference } from '../image/reference.ts'

/** What may be done to a repository, as the token service writes it. */
export type Access = 'pull' | 'pull,push' | 'pull,delete'

/** Access to a repository, in the token service's form. Source: distribution, docs/spec/auth/scope.md. */
export function repositoryScope(
  { repository }: Pick<Reference, 'repository'>,
  access: Access,
): string {
  return `repository:${repository}:${access}`
}

/** Access to the list of all repositories. */
export const CATALOG_SCOPE = 'registry:catalog:*'
