import { randomUUID } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { notifier } from '../../src/domain/notifier/notifier.js';
import { claimJobs, endJobs, enqueueMentions, enqueueMessages, findDue } from '../../src/domain/push/push.store.js';
import { pushWorker } from '../../src/domain/push/push.worker.js';
import { Prisma } from '../../src/generated/prisma/client.js';
import type { Sql, SqlTransaction } from '../../src/infra/database/database.js';
import type { Deps } from '../../src/platform/deps.js';
import type { RunningNode } from '../../src/server/start.js';
import { eventually, type Person, registerAll } from '../support/client.js';
import { rowId } from '../support/durable-streams.js';
import { detailModes, makePlace } from '../support/place.js';
import { makeBrowserKeys } from '../support/push-service.js';
import { attempt, createGroup, edit, reply, send } from '../support/talk.js';

describe.each(detailModes)('pushes that are open in %s mode', (mode) => {
  let node: RunningNode;
  let deps: Deps;
  let ana: Person;
  let bob: Person;
  let conversationId: string;
  beforeAll(async () => {
    node = await (await makePlace(mode)).start();
    ({ deps } = node);
    // The tests do the work of both, step by step.
    await Promise.all([notifier.of(deps).close(), pushWorker.of(deps).close()]);
  });
  beforeEach(async () => {
    await deps.database.db.pushJob.deleteMany();
    [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    conversationId = await createGroup(bob, [ana]);
    const { p256dh, auth } = makeBrowserKeys();
    const endpoint = `https://fcm.googleapis.com/${randomUUID()}`;
    expect(await attempt(ana, 'registerPush', { web: { endpoint, p256dh, auth } })).toMatchObject({});
  });

  type Sent = { id: string; seq: number };
  const enqueueIn = (sql: SqlTransaction, { id }: Sent) =>
    enqueueMessages(sql, { ids: [rowId(id)], conversationIds: [rowId(conversationId)] }, deps.config);
  const enqueue = (message: Sent) => deps.database.sql.transaction((sql) => enqueueIn(sql, message), { plans: 'any' });
  const jobs = () =>
    deps.database.db.pushJob.findMany({
      select: { fromSeq: true, toSeq: true, isOpen: true, isMention: true },
    });
  const records = async () =>
    (await deps.database.db.pushRecord.findMany({ where: { userId: rowId(ana.id) }, orderBy: { endedAt: 'asc' } })).map(
      ({ fromSeq, toSeq, seqs }) => [fromSeq, toSeq, seqs],
    );
  async function claim() {
    const [job] = await claimJobs(deps.database.sql, 10, 60_000);
    if (!job) throw new Error('no push is due');
    const [due] = await findDue(deps.database.sql, [job], deps.config);
    return {
      due,
      end: (sql: Sql = deps.database.sql) => endJobs(sql, [{ ...job, end: 'DONE', result: 'SENT', push: due }]),
    };
  }
  const untilOneWaits = () =>
    eventually('a statement waits for a lock', async () => {
      const [row] = await deps.database.db.$queryRaw<[{ count: number }]>`
        SELECT count(*)::int AS count FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'`;
      return row.count === 1;
    });

  it('contain further messages, for which their rows are not written', async () => {
    expect(await enqueue(await send(bob, conversationId, 'one'))).toBe(1);
    expect(await enqueue(await send(bob, conversationId, 'two'))).toBe(0);
    expect(await jobs()).toEqual([{ fromSeq: 1, toSeq: 1, isOpen: true, isMention: false }]);
    // A message of the user themselves is in between.
    await enqueue(await send(ana, conversationId, 'mine'));
    const { due, end } = await claim();
    expect(due).toMatchObject({ fromSeq: 1, toSeq: 3, seqs: [1, 2], text: 'two' });
    await end();
    expect([await jobs(), await records()]).toEqual([[], [[1, 3, [1, 2]]]]);
  });

  it('continue after those that were sent, if messages came meanwhile', async () => {
    await enqueue(await send(bob, conversationId, 'one'));
    const first = await claim();
    expect(await enqueue(await send(bob, conversationId, 'two'))).toBe(0);
    await first.end();
    expect(await jobs()).toMatchObject([{ fromSeq: 2, toSeq: 2, isOpen: true }]);
    const second = await claim();
    expect(second.due).toMatchObject({ seqs: [2], text: 'two' });
    await second.end();
    expect([await jobs(), await records()]).toEqual([
      [],
      [
        [1, 1, [1]],
        [2, 2, [2]],
      ],
    ]);
  });

  it.each<[string, (own: Sent) => Promise<Sent>]>([
    ['a mention', () => send(bob, conversationId, `@${ana.username}`)],
    ['a mention of everyone', () => send(bob, conversationId, '@everyone')],
    ['a reply', ({ id }) => reply(bob, conversationId, id, 'a reply')],
  ])('become urgent with %s', async (_what, concern) => {
    const own = await send(ana, conversationId, 'mine');
    await enqueue(own);
    expect(await enqueue(await send(bob, conversationId, 'one'))).toBe(1);
    expect(await enqueue(await concern(own))).toBe(1);
    expect(await enqueue(await concern(own))).toBe(0);
    const { due, end } = await claim();
    expect(due).toMatchObject({ isMention: true, seqs: [2, 3, 4] });
    await end();
    expect(await jobs()).toEqual([]);
  });

  it('are not those of users who are notified of mentions only', async () => {
    await attempt(ana, 'setNotificationLevel', { conversationId, level: 'MENTIONS' });
    await enqueue(await send(bob, conversationId, `@${ana.username}`));
    await enqueue(await send(bob, conversationId, 'two'));
    expect(await jobs()).toEqual([{ fromSeq: 1, toSeq: 1, isOpen: false, isMention: true }]);
    const { due, end } = await claim();
    expect(due).toMatchObject({ toSeq: 1, seqs: [1] });
    // Now every message notifies the user.
    await attempt(ana, 'setNotificationLevel', { conversationId, level: 'ALL' });
    await enqueue(await send(bob, conversationId, 'three'));
    await end();
    expect(await jobs()).toMatchObject([{ fromSeq: 2, toSeq: 3, isOpen: true }]);
  });

  it('contain an earlier message again in which an edit mentions the user while they are sent', async () => {
    const one = await send(bob, conversationId, 'one');
    await enqueue(await send(bob, conversationId, 'two'));
    const { end } = await claim();
    await edit(bob, one.id, `one @${ana.username}`);
    const mention = { userId: rowId(ana.id), conversationId: rowId(conversationId), seq: one.seq };
    expect(await deps.database.sql.transaction((sql) => enqueueMentions(sql, [mention]))).toBe(1);
    await end();
    const { due } = await claim();
    expect(due).toMatchObject({ isMention: true, fromSeq: 1, seqs: [1, 2] });
  });

  it('are recorded up to the newest message if their device is removed', async () => {
    await enqueue(await send(bob, conversationId, 'one'));
    await enqueue(await send(bob, conversationId, 'two'));
    await deps.database.db.pushSubscription.deleteMany({ where: { userId: rowId(ana.id) } });
    expect([await jobs(), await records()]).toEqual([[], [[1, 2, []]]]);
  });

  // The embedded database runs one transaction at a time.
  describe.skipIf(mode === 'embedded')('and end while the notifier adds a message', () => {
    it('wait for it, and continue with the message', async () => {
      await enqueue(await send(bob, conversationId, 'one'));
      const { end } = await claim();
      const two = await send(bob, conversationId, 'two');
      let ending: Promise<void> | undefined;
      await deps.database.sql.transaction(async (sql) => {
        await enqueueIn(sql, two);
        ending = end();
        await untilOneWaits();
      });
      await ending;
      expect(await jobs()).toMatchObject([{ fromSeq: 2, toSeq: 2 }]);
    });

    it('let it wait, and the message gets a push of its own', async () => {
      await enqueue(await send(bob, conversationId, 'one'));
      const { end } = await claim();
      const two = await send(bob, conversationId, 'two');
      let adding: Promise<number> | undefined;
      await deps.database.sql.transaction(async (sql) => {
        await sql.query(Prisma.sql`SELECT`);
        await end(sql);
        adding = enqueue(two);
        await untilOneWaits();
      });
      expect(await adding).toBe(1);
      expect(await jobs()).toMatchObject([{ fromSeq: 2, toSeq: 2, isOpen: true }]);
    });
  });
});
