import pg from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../../src/app/config.js';
import { ConfigError } from '../../src/infra/config/config-error.js';
import { openDatabase } from '../../src/infra/database/database.js';
import { createLog } from '../../src/infra/telemetry/log.js';
import { register } from '../support/client.js';
import { atEnd } from '../support/ending.js';
import { alterDatabase } from '../support/environment.js';
import { form, makeFleet, ownServers } from '../support/fleet.js';
import { type OwnServers, pgbouncerLacking, startPgbouncer } from '../support/servers.js';
import { otherDatabase, query } from '../support/services.js';
import { createGroup, edit, send } from '../support/talk.js';

// Only in the long form, and if PgBouncer is installed.
describe.skipIf(form(true, false) || pgbouncerLacking !== undefined)('behind PgBouncer in transaction mode', () => {
  let servers: OwnServers;
  let poolerUrl: string;
  beforeAll(async () => {
    servers = await ownServers();
    const { port } = await startPgbouncer(servers.postgres.port);
    poolerUrl = `postgresql://postgres@127.0.0.1:${port}/postgres`;
  }, 120_000);

  it('times are correct on each connection, whatever the default time zone of the database', {
    timeout: 300_000,
  }, async () => {
    const fleet = await makeFleet(servers, { DATABASE_PREPARED: 'off' });
    const name = new URL(fleet.env['DATABASE_URL'] as string).pathname.slice(1);
    await alterDatabase(servers.postgres.url, name, 'timezone=America/New_York;datestyle=SQL, DMY');
    const DATABASE_URL = otherDatabase(poolerUrl, name);
    const [a, b] = await Promise.all([fleet.add({ DATABASE_URL }), fleet.add({ DATABASE_URL })]);
    // Other clients with their own settings use the same connections to the server in between.
    const stranger = new pg.Client({ connectionString: DATABASE_URL });
    await stranger.connect();
    atEnd(() => stranger.end());
    await stranger.query(`SET timezone = 'Asia/Tokyo'`);
    const people = await Promise.all(Array.from({ length: 10 }, (_, index) => register(index % 2 ? a.url : b.url)));
    await Promise.all(
      people.map(async (person) => {
        const group = await createGroup(person, []);
        for (let round = 0; round < 10; round += 1) {
          await stranger.query('SELECT now()');
          const message = await send(person, group, 'now');
          const { editedAt } = await edit(person, message.id, 'then');
          for (const time of [message.createdAt, editedAt]) {
            expect(Math.abs(Date.now() - new Date(time).getTime()), time).toBeLessThan(60_000);
          }
        }
      }),
    );
  });

  it('a node does not start with settings that the pooler does not preserve, until the role has them', async () => {
    const url = await servers.postgres.createDatabase('odd');
    const through = readConfig({ DATABASE_URL: `${otherDatabase(poolerUrl, 'odd')}?schema=chat` });
    const open = () => openDatabase(through, createLog('silent'));
    const error = await open().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(/^DATABASE_URL: nodes cannot set .* connection pooler; .*;$/);
    await query(url, /ALTER ROLE .*/.exec((error as Error).message)?.[0] ?? '');
    // The pooler's connections still have the previous settings.
    await query(
      url,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'odd' AND pid <> pg_backend_pid()`,
    );
    await (await open()).close();
  });
});
