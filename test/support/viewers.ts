import { newId } from '../../src/core/ids.js';
import type { Deps } from '../../src/platform/deps.js';
import type { Viewer } from '../../src/platform/viewer.js';

/** Accounts with a session each, for tests that call services without a client. */
export async function makeViewers({ database }: Deps, count: number): Promise<Viewer[]> {
  const people = Array.from({ length: count }, () => ({ userId: newId(), sessionId: newId() }));
  await database.db.user.createMany({
    data: people.map(({ userId }) => ({
      id: userId,
      username: userId,
      usernameKey: userId,
      displayName: 'x',
      searchWords: [],
    })),
  });
  // Without a session, streams would end.
  const expiresAt = new Date(Date.now() + 3_600_000);
  const none = new Uint8Array();
  await database.db.session.createMany({
    data: people.map(({ userId, sessionId: id }) => ({
      id,
      userId,
      expiresAt,
      refreshFamilyHash: none,
      refreshHash: none,
    })),
  });
  return people.map((person) => ({ ...person, expiresAt }));
}
