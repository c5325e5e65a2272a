import { beforeAll, describe, expect, it } from 'vitest';
import { Prisma } from '../../src/generated/prisma/client.js';
import { requiredSettings } from '../../src/infra/config/session-settings.js';
import type { RunningNode } from '../../src/server/start.js';
import { type Person, register } from '../support/client.js';
import { alterDatabase, alterEmbedded } from '../support/environment.js';
import { makePlace, modes } from '../support/place.js';
import { query } from '../support/services.js';
import { createGroup, edit, send } from '../support/talk.js';

/** Settings that the database may have for other programs. */
const odd = [
  'timezone=America/New_York',
  'datestyle=SQL, DMY',
  'intervalstyle=iso_8601',
  'bytea_output=escape',
  'extra_float_digits=0',
  'standard_conforming_strings=off',
  'default_transaction_isolation=serializable',
  'lock_timeout=1',
  'idle_in_transaction_session_timeout=1',
  'statement_timeout=0',
  'jit=on',
].join(';');

describe.each(modes)('a database with other defaults in %s mode', (mode) => {
  let node: RunningNode;
  let ana: Person;
  beforeAll(async () => {
    const { env, start } = await makePlace(mode);
    if (mode === 'embedded') await alterEmbedded(env['DATA_DIR'] as string, odd);
    else {
      const url = env['DATABASE_URL'] as string;
      await alterDatabase(url, new URL(url).pathname.slice(1), odd);
      expect(await query(url, 'SHOW timezone')).toEqual([{ TimeZone: 'America/New_York' }]);
    }
    node = await start();
    ana = await register(node.url, 'ana');
  });

  const now = (time: string | Date | undefined | null) => {
    expect(Math.abs(Date.now() - new Date(time ?? 0).getTime()), String(time)).toBeLessThan(60_000);
  };

  it('gives nodes the settings that they require', async () => {
    for (const [name, value] of Object.entries(requiredSettings)) {
      const ask = Prisma.sql`SELECT current_setting(${name}) AS value`;
      expect(await node.deps.database.sql.query(ask), name).toEqual([{ value }]);
      expect(await node.deps.database.db.$queryRaw(ask), name).toEqual([{ value }]);
    }
  });

  it('limits statements and transactions of nodes in time, and compiles no statements', async () => {
    const settings = Prisma.sql`
      SELECT current_setting('jit') AS jit, current_setting('statement_timeout') AS statements,
             current_setting('lock_timeout') AS locks,
             current_setting('idle_in_transaction_session_timeout') AS transactions`;
    const expected = [{ jit: 'off', statements: '1min', locks: '0', transactions: '1min' }];
    expect(await node.deps.database.sql.query(settings)).toEqual(expected);
    expect(await node.deps.database.db.$queryRaw(settings)).toEqual(expected);
  });

  it('stores correct times, whether written by the database or by a node', async () => {
    const group = await createGroup(ana, []);
    const message = await send(ana, group, 'now');
    now(message.createdAt);
    now((await edit(ana, message.id, 'then')).editedAt);
    const data = await ana.ask(
      '{ viewer { user { createdAt } sessions { createdAt lastUsedAt } conversations(first: 1) { nodes { createdAt lastActivityAt } } } }',
    );
    now(data.viewer.user.createdAt);
    now(data.viewer.sessions[0].createdAt);
    now(data.viewer.sessions[0].lastUsedAt);
    now(data.viewer.conversations.nodes[0].createdAt);
    now(data.viewer.conversations.nodes[0].lastActivityAt);
    // Compared as instants, and not only as they are read back.
    const [stored] = await node.deps.database.sql.query<{ edited: number; expires: number; used: number }>(Prisma.sql`
      SELECT (SELECT extract(epoch FROM max(edited_at))::float8 FROM messages) AS edited,
             extract(epoch FROM max(expires_at))::float8 AS expires, extract(epoch FROM max(last_used_at))::float8 AS used
      FROM sessions`);
    now(new Date((stored?.edited ?? 0) * 1_000));
    now(new Date((stored?.used ?? 0) * 1_000));
    now(new Date((stored?.expires ?? 0) * 1_000 - node.deps.config.refreshTokenTtlMs));
  });
});
