import { expect, it } from 'vitest';
import { readConfig } from '../../src/app/config.js';
import { copyDatabase } from '../../src/infra/database/move.js';
import { openPglite } from '../../src/infra/database/pglite.js';
import { openPostgres } from '../../src/infra/database/postgres.js';
import { createLog } from '../../src/infra/telemetry/log.js';
import { register } from '../support/client.js';
import { atEnd } from '../support/ending.js';
import { makePlace, servicesFound } from '../support/place.js';
import { query } from '../support/services.js';

it.skipIf(!servicesFound)('a copy that lacks rows fails and leaves the target empty', async () => {
  const log = createLog('silent');
  const place = await makePlace('embedded');
  const node = await place.start();
  await register(node.url);
  await node.stop();
  const { dataDir, dataDirMinFreeBytes } = readConfig(place.env);
  const source = await openPglite(dataDir, dataDirMinFreeBytes, log);
  atEnd(() => source.close());

  const url = (await makePlace('postgresql')).env['DATABASE_URL'] as string;
  const target = await openPostgres(url, { poolMax: 2, prepared: true, timeoutMs: 60_000, log });
  atEnd(() => target.close());
  await query(url, 'CREATE RULE lost AS ON INSERT TO credentials DO INSTEAD NOTHING');

  const copy = () => source.exclusively((from) => target.exclusively((to) => copyDatabase(from, to)));
  await expect(copy()).rejects.toThrow('credentials has 0 rows instead of 1');
  expect(await query(url, 'SELECT id FROM users')).toEqual([]);
  await query(url, 'DROP RULE lost ON credentials');
  expect(Object.fromEntries(await copy())).toMatchObject({ users: 1, credentials: 1 });
});
