import type { User } from '@parley/client';

/** A message that a search has found, as far as it is shown. */
export interface FoundHit {
  plainSnippet: { text: string; matches: readonly { start: number; end: number }[] };
  node: {
    id: string;
    seq: number;
    createdAt: string;
    sender?: Pick<User, 'id' | 'displayName' | 'avatarUrl'> | null | undefined;
    conversation?:
      | {
          id: string;
          title?: string | null | undefined;
          counterpart?: Pick<User, 'displayName'> | null | undefined;
        }
      | null
      | undefined;
  };
}
