import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/app/config.js';
import { Prisma } from '../../src/generated/prisma/client.js';
import { type Database, isUnavailable, openDatabase } from '../../src/infra/database/database.js';
import { createLog } from '../../src/infra/telemetry/log.js';
import { atEnd } from '../support/ending.js';
import { makePlace, servicesFound } from '../support/place.js';
import { startProxy } from '../support/proxy.js';

const statements: Record<string, (database: Database) => Promise<unknown>> = {
  'plain SQL': ({ sql }) => sql.query(Prisma.sql`SELECT 1`),
  'a transaction of plain SQL': ({ sql }) => sql.transaction((tx) => tx.query(Prisma.sql`SELECT 1`)),
  Prisma: ({ db }) => db.$queryRaw`SELECT 1`,
  'a transaction of Prisma': ({ transaction }) => transaction((tx) => tx.$queryRaw`SELECT 1`),
};

describe.skipIf(!servicesFound)('an unresponsive connection', () => {
  it.each(Object.entries(statements))('fails the next statement as unavailable: %s', async (_by, run) => {
    const place = await makePlace('postgresql');
    const url = new URL(place.env['DATABASE_URL'] as string);
    const proxy = await startProxy(Number(url.port || 5432));
    url.port = String(proxy.port);
    const config = readConfig({ ...place.env, DATABASE_URL: url.href, DATABASE_STATEMENT_TIMEOUT: '1s' });
    const database = await openDatabase(config, createLog('silent'));
    atEnd(() => database.close());
    await run(database);
    proxy.swallow();
    const outcome = run(database).catch((error: unknown) => error);
    const stillWaiting = Symbol('still waiting');
    const error = await Promise.race([outcome, delay(20_000, stillWaiting)]);
    // Lets the statement end, so that the database can be closed.
    proxy.cut();
    expect(error).not.toBe(stillWaiting);
    expect(isUnavailable(error)).toBe(true);
    await run(database);
  });
});
