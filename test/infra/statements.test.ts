import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createLookup } from '../../src/infra/async/lookup.js';
import {
  createStatementLimits,
  withoutLimitOfUniqueReads,
  withStatementLimit,
} from '../../src/infra/database/statements.js';
import { currentRequest, withRequest } from '../../src/infra/telemetry/request.js';
import { makePlace } from '../support/place.js';

/** Statements that end when the test ends them. */
function makeDatabase() {
  const running: (() => void)[] = [];
  return {
    running,
    query: () => withStatementLimit(() => new Promise<void>((resolve) => running.push(resolve))),
    endAll: () => {
      for (const end of running.splice(0)) end();
    },
  };
}

describe('statements', () => {
  it('are limited per person and, with one fewer, per operation, without affecting other people', async () => {
    const database = makeDatabase();
    const limits = createStatementLimits(3);
    const operation = (key: string | undefined, count: number) =>
      withRequest({ id: 'request', address: '', limitStatement: limits.forOperation(key) }, () =>
        Promise.all(Array.from({ length: count }, () => database.query())),
      );
    const all = [operation('one', 100)];
    await nextTurn();
    expect(database.running).toHaveLength(2);
    all.push(operation('one', 100));
    await nextTurn();
    expect(database.running).toHaveLength(3);
    all.push(operation('other', 2));
    await nextTurn();
    expect(database.running).toHaveLength(5);
    // Callers that act on behalf of everybody are only limited per operation.
    all.push(operation(undefined, 5), operation(undefined, 5));
    await nextTurn();
    expect(database.running).toHaveLength(9);
    while (database.running.length > 0) {
      database.endAll();
      await nextTurn();
    }
    await Promise.all(all);
    expect(limits.waiting).toBe(0);
  });

  it('of Prisma that read by unique keys are not limited, because they are batched across people', async () => {
    const seen: Record<string, unknown> = {};
    const read = (name: string) => async () => {
      seen[name] = currentRequest()?.id;
      return name;
    };
    const client = withoutLimitOfUniqueReads({ user: { findUnique: read('unique'), findMany: read('many') } });
    await withRequest({ id: 'request', address: '' }, async () => {
      expect([await client.user.findUnique(), await client.user.findMany()]).toEqual(['unique', 'many']);
    });
    expect(seen).toEqual({ unique: undefined, many: 'request' });
  });

  it('are not limited for batched reads and for background work', async () => {
    const limits = createStatementLimits(1);
    const requests: unknown[] = [];
    const lookUp = createLookup(async (keys: readonly string[]) => {
      requests.push(currentRequest());
      return withStatementLimit(async () => keys);
    });
    await withRequest({ id: 'request', address: '', limitStatement: limits.forOperation('one') }, async () => {
      const blocking = withStatementLimit(() => lookUp('key'));
      expect(await blocking).toBe('key');
      expect(currentRequest()?.id).toBe('request');
    });
    expect(requests).toEqual([undefined]);
    expect(await withStatementLimit(async () => 'done')).toBe('done');
  });

  it('of the embedded database wait for at most one transaction of each other user', async () => {
    const { deps } = await (await makePlace('embedded')).start();
    const { database } = deps;
    const limits = createStatementLimits(1);
    const order: string[] = [];
    const asUser = (key: string, work: () => Promise<unknown>) =>
      withRequest({ id: 'request', address: '', limitStatement: limits.forOperation(key) }, work);
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const all: Promise<unknown>[] = [database.transaction(() => held)];
    for (let count = 0; count < 10; count += 1) {
      all.push(asUser('one', () => database.transaction(async () => order.push('one'))));
      all.push(asUser('one', () => database.sql.transaction(async () => order.push('one'))));
    }
    all.push(asUser('other', () => database.transaction(async () => order.push('other'))));
    release();
    await Promise.all(all);
    expect(order).toHaveLength(21);
    expect(order.indexOf('other')).toBeLessThanOrEqual(1);
  });
});
