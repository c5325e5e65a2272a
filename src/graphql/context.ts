import { type ChatError, unauthenticated } from '../core/errors.js';
import type { Deps } from '../platform/deps.js';
import type { Connection, Viewer } from '../platform/viewer.js';

/** What every resolver gets. */
export interface Context extends Connection {
  deps: Deps;
  /**
   * Who is asking: null when no token came; an error when one came that does not count. That one is no visitor, but
   * whoever signs in or refreshes may still carry it.
   */
  identity: Viewer | ChatError | null;
  /** Who asked, whoever was signed in by the operation since. */
  readonly asker: Viewer | ChatError | null;
  /**
   * Where the feed was before anything of this operation was read: what is fetched, plus the streams from here, misses
   * nothing.
   */
  readonly syncCursor: string;
}

/** The signed-in viewer. @throws {ChatError} UNAUTHENTICATED */
export function viewerOf({ identity }: Context): Viewer {
  if (identity === null) throw unauthenticated();
  if (identity instanceof Error) throw identity;
  return identity;
}

/** The signed-in viewer, or null when no token came. @throws {ChatError} UNAUTHENTICATED when one came that does not count. */
export function viewerOrNull(context: Context): Viewer | null {
  return context.identity === null ? null : viewerOf(context);
}
