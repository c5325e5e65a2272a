import { describe, expect, it } from 'vitest';
import { decodeGlobalId } from '../src/core/ids.js';
import { forgetNode } from './support/accounts.js';
import { ask, type Json, type Person, register } from './support/client.js';
import { modes, sharedNode } from './support/place.js';

describe.each(modes)('accounts that tests insert, in %s mode', (mode) => {
  it('have the same rows as those that register', async () => {
    const node = await sharedNode(mode);
    const { db } = node.deps.database;
    /** The rows of a person, with names in the place of values that differ from person to person. */
    const rowsOf = async ({ id: globalId, username }: Person): Promise<Json> => {
      const { id } = decodeGlobalId(globalId, 'id');
      const where = { userId: id };
      const rows = {
        user: await db.user.findUniqueOrThrow({ where: { id } }),
        credential: await db.credential.findUniqueOrThrow({ where }),
        sessions: await db.session.findMany({ where }),
        entries: await db.auditEntry.findMany({ where: { subjectId: id } }),
      };
      return JSON.parse(JSON.stringify(rows), (key, value) => {
        if (value?.type === 'Buffer' || (/Hash$/.test(key) && value !== null)) return `${key}, ${typeof value}`;
        // The request that registered the account: there is none for an inserted one.
        if (key === 'requestId' || key === 'address') return null;
        if (typeof value !== 'string') return value;
        if (/^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(value)) return value === id ? 'their id' : 'an id';
        if (/At$|^at$/.test(key)) return 'a time';
        return value.replaceAll(username, 'username').replace(/^\d+$/, 'a number');
      });
    };
    const inserted = await register(node.url);
    forgetNode(node);
    const registered = await register(node.url);
    expect(await rowsOf(inserted)).toEqual(await rowsOf(registered));
    for (const { username, password } of [inserted, registered]) {
      const input = { usernameOrEmail: username, password };
      const { login } = await ask(
        node.url,
        'mutation ($input: LoginInput!) { login(input: $input) { viewer { user { username } } } }',
        { input },
      );
      expect(login.viewer.user.username).toBe(username);
    }
  });
});
