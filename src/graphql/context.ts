import { type ChatError, unauthenticated } from '../core/errors.js';
import type { Deps, Viewer } from '../domain/deps.js';

/** What every resolver gets. */
export interface Context {
  deps: Deps;
  /**
   * Who is asking: null when no token came; an error when one came that does not count. That one is no visitor, but
   * whoever signs in or refreshes may still carry it.
   */
  identity: Viewer | ChatError | null;
  /** Who asked, whoever was signed in by the operation since. */
  readonly asker: Viewer | ChatError | null;
  /** Aborted when the client has gone; absent where the transport ends its streams itself (WebSocket). */
  readonly signal?: AbortSignal | undefined;
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
