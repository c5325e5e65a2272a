import bcrypt from 'bcryptjs';
import { encodeGlobalId, newId } from '../../src/core/ids.js';
import { emailKeyOf } from '../../src/core/text/addresses.js';
import { namesOf } from '../../src/domain/user/user.store.js';
import { Prisma } from '../../src/generated/prisma/client.js';
import { newRefreshToken } from '../../src/infra/auth/tokens.js';
import type { RunningNode } from '../../src/server/start.js';

/** The nodes of this process, by URL, into whose databases accounts may be inserted directly. */
const nodes = new Map<string, RunningNode>();

/** Registers a node for `insertAccount`. */
export function noteNode(node: RunningNode): void {
  const { rateLimits, registration, metricsPort, metricsToken, tracesEndpoint } = node.deps.config;
  const isObserved = metricsPort !== undefined || metricsToken !== undefined || tracesEndpoint !== undefined;
  if (!rateLimits && registration && !isObserved) nodes.set(node.url, node);
}

export function forgetNode({ url }: RunningNode): void {
  nodes.delete(url);
}

/** Password hashes by password and cost, because tests use the same few passwords for thousands of users. */
const hashes = new Map<string, string>();

/**
 * Creates an account with a session, as the mutation `register` does, in one statement. Registering takes 30 to 40 ms
 * of CPU time, and most tests begin with several users.
 * @returns undefined if the node does not run in this process, or limits, measures or rejects registrations. The
 *   account must then be registered over HTTP.
 */
export async function insertAccount(
  url: string,
  { username, email, password }: { username: string; email: string; password: string },
): Promise<{ id: string; accessToken: string; refreshToken: string } | undefined> {
  const node = nodes.get(url);
  if (!node) return undefined;
  const { config, database, tokens } = node.deps;
  const key = `${config.bcryptCost} ${password}`;
  let hash = hashes.get(key);
  if (!hash) {
    // In this thread, because a node would start a thread for it.
    hash = bcrypt.hashSync(password, config.bcryptCost);
    hashes.set(key, hash);
  }
  const [id, sessionId, passwordHash] = [newId(), newId(), hash];
  const names = namesOf({ username, displayName: username });
  const refresh = newRefreshToken(sessionId);
  const expiresAt = new Date(Date.now() + config.refreshTokenTtlMs);
  const details = JSON.stringify([{ name: 'by', value: 'REGISTRATION', oldValue: null }]);
  await database.sql.query(Prisma.sql`
    WITH account AS (
      INSERT INTO users (id, username, username_key, display_name, search_words)
      VALUES (${id}::uuid, ${username}, ${names.usernameKey}, ${username}, ${names.searchWords}::text[])
    ), credential AS (
      INSERT INTO credentials (user_id, email, email_key, password_hash)
      VALUES (${id}::uuid, ${email}, ${emailKeyOf(email)}, ${passwordHash})
    ), entry AS (
      INSERT INTO audit_entries (id, action, actor_id, session_id, subject_id, details)
      VALUES (${newId()}::uuid, 'ACCOUNT_CREATED', ${id}::uuid, ${sessionId}::uuid, ${id}::uuid, ${details}::jsonb)
    )
    INSERT INTO sessions (id, user_id, refresh_family_hash, refresh_hash, expires_at)
    VALUES (${sessionId}::uuid, ${id}::uuid, ${refresh.hashes.family}, ${refresh.hashes.own}, ${expiresAt})`);
  const { token } = tokens.signAccess(id, sessionId);
  return { id: encodeGlobalId('User', id), accessToken: token, refreshToken: refresh.token };
}
