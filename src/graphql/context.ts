import { type ChatError, unauthenticated } from '../core/errors.js';
import type { Deps } from '../platform/deps.js';
import type { Connection, Viewer } from '../platform/viewer.js';

/** The context of an operation, which every resolver receives. */
export interface Context extends Connection {
  deps: Deps;
  /**
   * The current viewer: null if the request has no token, or an error if its token is invalid. With an invalid token,
   * only operations that do not need a viewer succeed, such as signing in or refreshing the session.
   */
  identity: Viewer | ChatError | null;
  /** The viewer at the start of the operation, before a mutation of the operation signed in another one. */
  readonly requester: Viewer | ChatError | null;
  /**
   * The position of the feed before the operation read anything: a stream from this cursor contains every change that
   * the result of the operation does not.
   */
  readonly syncCursor: string;
}

/**
 * The signed-in viewer.
 * @throws {ChatError} UNAUTHENTICATED if the request has no token or an invalid one.
 */
export function viewerOf({ identity }: Context): Viewer {
  if (identity === null) throw unauthenticated();
  if (identity instanceof Error) throw identity;
  return identity;
}

/**
 * The signed-in viewer, or null if the request has no token.
 * @throws {ChatError} UNAUTHENTICATED if its token is invalid.
 */
export function viewerOrNull(context: Context): Viewer | null {
  return context.identity === null ? null : viewerOf(context);
}
