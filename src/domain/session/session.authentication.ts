import { unauthenticated } from '../../core/errors.js';
import { Prisma } from '../../generated/prisma/client.js';
import type { Sql } from '../../infra/database/database.js';
import type { Deps, Service } from '../../platform/deps.js';
import { defineExtensionPoint } from '../../platform/feature.js';
import { defineLookup, defineService } from '../../platform/service.js';
import type { Viewer } from '../../platform/viewer.js';
import { createSessionWatch } from '../../realtime/session-watch.js';

/** A source of access tokens other than the server itself: an identity provider, or the service key. */
export interface AccessTokenSource {
  /** Whether the token claims to come from this source. This is not verified. */
  issued(token: string): boolean;
  /**
   * The viewer of a token, in a session that has not ended.
   * @throws {ChatError} UNAUTHENTICATED; UNAVAILABLE: the source cannot be reached at the moment.
   */
  viewerOf(deps: Deps, token: string): Promise<Viewer>;
}

/** Sources that are not configured are undefined. */
export const accessTokenSources = defineExtensionPoint<Service<AccessTokenSource | undefined>>('access token sources');

/**
 * The viewer of an access token.
 * @throws {ChatError} UNAUTHENTICATED: the token is invalid or expired, or its session has ended; UNAVAILABLE: this
 *   cannot be determined at the moment.
 */
export async function authenticate(deps: Deps, accessToken: string): Promise<Viewer> {
  for (const service of accessTokenSources.of(deps)) {
    const source = service.of(deps);
    if (source?.issued(accessToken)) return source.viewerOf(deps, accessToken);
  }
  return requireActiveSession(deps, deps.tokens.verifyAccess(accessToken));
}

/** Throws UNAUTHENTICATED if the viewer's session has ended. */
export async function requireActiveSession(deps: Deps, viewer: Viewer): Promise<Viewer> {
  const userId = await sessionLookup.of(deps)(viewer.sessionId);
  if (userId !== viewer.userId) throw unauthenticated('This session has ended.');
  return viewer;
}

/** The user of a session; null if it has ended. */
export const sessionLookup = defineLookup('sessions', ({ database }, ids: readonly string[]) =>
  findActiveSessions(database.sql, ids),
);

export const sessionWatch = defineService('session watch', ({ database, bus, log }) =>
  createSessionWatch({
    database,
    bus,
    async findEnded(ids) {
      const owners = await findActiveSessions(database.sql, ids);
      return ids.filter((_id, index) => owners[index] === null);
    },
    log,
  }),
);

/**
 * The users of these sessions, in the same order; null if a session has ended or its user may not continue it
 * (`mayContinue`).
 */
async function findActiveSessions(sql: Sql, ids: readonly string[]): Promise<(string | null)[]> {
  const alive = await sql.query<{ id: string; userId: string }>(Prisma.sql`
    SELECT sessions.id::text, user_id::text AS "userId"
    FROM sessions JOIN users ON users.id = user_id
    WHERE sessions.id = ANY (${[...new Set(ids)]}::uuid[]) AND ended_at IS NULL
      AND deleted_at IS NULL AND suspended_at IS NULL AND (by_key_hash IS NULL OR service_role = 'USER')`);
  const living = new Map(alive.map(({ id, userId }) => [id, userId]));
  return ids.map((id) => living.get(id) ?? null);
}
