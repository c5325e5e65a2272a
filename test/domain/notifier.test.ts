import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createNotifier, type Notifier, notifier } from '../../src/domain/notifier/notifier.js';
import { type NotifierBatch, notificationOutputs } from '../../src/domain/notifier/notifier.sources.js';
import { Prisma } from '../../src/generated/prisma/client.js';
import type { Deps } from '../../src/platform/deps.js';
import { defineFeature } from '../../src/platform/feature.js';
import type { RunningNode } from '../../src/server/start.js';
import { eventually, type Person, registerAll } from '../support/client.js';
import { rowId } from '../support/durable-streams.js';
import { atEnd } from '../support/ending.js';
import { inOneMode, makePlace, modes } from '../support/place.js';
import { attempt, openDirect, remove, send } from '../support/talk.js';

describe.each(modes)('the notifier in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let deps: Deps;
  let people: [Person, Person];
  beforeAll(async () => {
    node = await (await makePlace(mode)).start();
    ({ deps } = node);
    // The tests start notifiers of their own.
    await notifier.of(deps).close();
  });
  beforeEach(async () => {
    people = await registerAll(node.url, 'ana', 'bob');
  });

  function start(nodeId: string, more: Partial<Deps> = {}): Notifier {
    const started = createNotifier({ ...deps, nodeId, ...more });
    atEnd(() => started.close());
    return started;
  }
  const countOf = ({ id }: Person) => deps.database.db.notification.count({ where: { userId: rowId(id) } });
  const inboxHas = (person: Person, count: number) =>
    eventually(`${count} notifications`, async () => (await countOf(person)) === count);

  it('passes what it has processed to outputs, in the transaction that stores it', async () => {
    const [ana, bob] = people;
    const batches: NotifierBatch[] = [];
    let failures = 1;
    const output = notificationOutputs.with({
      types: ['MESSAGE_PINNED'],
      async write(_deps, tx, batch) {
        // Fails after it has written: nothing of the first attempt may remain.
        await tx.query(Prisma.sql`INSERT INTO audit_entries (id, action) VALUES (gen_random_uuid(), 'NOTIFIED')`);
        if (batch.added.length > 0 && failures > 0) {
          failures -= 1;
          throw new Error('the output fails once');
        }
        batches.push(batch);
      },
    });
    const features = [...deps.features, defineFeature('output', { contributes: [output] })];
    const started = start('with an output', { features });
    const direct = await openDirect(ana, bob);
    const { id } = await send(ana, direct, `@${bob.username}`);
    await inboxHas(bob, 1);
    const expected = {
      userId: rowId(bob.id),
      actorId: rowId(ana.id),
      kind: 'MENTION',
      subjectId: rowId(id),
      conversationId: rowId(direct),
    };
    const added = batches.flatMap((batch) => batch.added);
    expect([failures, added]).toMatchObject([0, [expected]]);
    expect(batches.flatMap(({ changes }) => changes.map(({ type }) => type))).toContain('MESSAGE_SENT');
    await remove(ana, id);
    await inboxHas(bob, 0);
    await started.sweep();
    expect(batches.flatMap(({ removed }) => removed)).toMatchObject([expected]);
    // One entry for each batch that was stored.
    expect(await deps.database.db.auditEntry.count({ where: { action: 'NOTIFIED' } })).toBe(batches.length);
  });

  itOnce('does not pass to outputs what the user had read before', async () => {
    const [ana, bob] = people;
    const batches: NotifierBatch[] = [];
    const output = notificationOutputs.with({
      types: [],
      write: async (_deps, _tx, batch) => void batches.push(batch),
    });
    const direct = await openDirect(ana, bob);
    const { seq } = await send(ana, direct, `@${bob.username}`);
    await attempt(bob, 'markRead', { conversationId: direct, seq });
    await send(ana, direct, `again @${bob.username}`);
    start('late', { features: [...deps.features, defineFeature('output', { contributes: [output] })] });
    await inboxHas(bob, 2);
    const unread = { userId: rowId(bob.id), readAt: null };
    expect(await deps.database.db.notification.findMany({ where: unread })).toMatchObject([{ seq: 2 }]);
    const added = batches.flatMap((batch) => batch.added).filter(({ userId }) => userId === unread.userId);
    expect(added).toMatchObject([{ seq: 2 }]);
  });

  itOnce('runs on one node at a time, and another one continues when it ends', async () => {
    const [ana, bob] = people;
    const first = start('the first');
    await eventually('the first one is active', () => first.isActive);
    const second = start('the second');
    await second.sweep();
    expect([first.isActive, second.isActive]).toEqual([true, false]);
    const direct = await openDirect(ana, bob);
    await send(ana, direct, `@${bob.username}`);
    await inboxHas(bob, 1);
    expect([first.counts.added, second.counts.added]).toEqual([1, 0]);
    await first.close();
    await send(ana, direct, `again @${bob.username}`);
    // Without waiting until the claim of the first one expires.
    await second.sweep();
    expect(second.isActive).toBe(true);
    await inboxHas(bob, 2);
    expect(second.counts.added).toBe(1);
  });

  // The embedded database has one connection, so that nothing can be committed in between.
  it.skipIf(mode === 'embedded')('processes changes that are committed while it stores its position', async () => {
    const [ana, bob] = people;
    const direct = await openDirect(ana, bob);
    let sendNow = async () => {
      sendNow = async () => {};
      await send(ana, direct, `in between @${bob.username}`);
    };
    const output = notificationOutputs.with({
      types: [],
      write: async (_deps, _tx, { added }) => (added.length > 0 ? sendNow() : undefined),
    });
    start('with an output', { features: [...deps.features, defineFeature('output', { contributes: [output] })] });
    await send(ana, direct, `@${bob.username}`);
    await inboxHas(bob, 2);
  });

  itOnce('finds changes of which no wake-up arrived', async () => {
    const [ana, bob] = people;
    const feed = Object.create(deps.feed, { onActivity: { value: () => {} } });
    const deaf = start('without wake-ups', { feed });
    await eventually('it is active', () => deaf.isActive);
    await send(ana, await openDirect(ana, bob), `@${bob.username}`);
    await inboxHas(bob, 1);
  });
});
