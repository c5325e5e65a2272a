import { beforeAll, describe, expect, it } from 'vitest';
import { decodeGlobalId } from '../../src/core/ids.js';
import { conversationChanged } from '../../src/domain/conversation/conversation.events.js';
import { lockAndNumber } from '../../src/domain/conversation/conversation.store.js';
import type { Tx } from '../../src/infra/database/database.js';
import { announceAfterCommit, defineAnnouncement } from '../../src/infra/database/unit-of-work.js';
import { changesCommitted, recordChange } from '../../src/realtime/change-log.js';
import type { RunningNode } from '../../src/server/start.js';
import { connectInTest, type Listening, listen, type Person, registerAll } from '../support/client.js';
import { inOneMode, modes, sharedTwo } from '../support/place.js';
import { createGroup } from '../support/talk.js';

const CHANGES = 'subscription { conversations { type conversation { id title } } }';

/** Changes the title of a group like a service, and records the change. */
async function rename(tx: Tx, groupId: string, title: string): Promise<void> {
  const conversation = await lockAndNumber(tx, decodeGlobalId(groupId, 'id').id);
  if (!conversation) throw new Error('no such group');
  await recordChange(tx, conversationChanged('updated', null, null, { conversation: { ...conversation, title } }));
}

describe.each(modes)('a change that a transaction records in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let other: RunningNode;
  let ana: Person;
  beforeAll(async () => {
    // With this interval, changes are not found by a sweep.
    [node, other] = await sharedTwo(mode, { SWEEP_INTERVAL: '1h' });
    [ana] = await registerAll(node.url, 'ana');
  });

  const follow = async (url: string): Promise<Listening> => {
    const stream = listen(connectInTest(url, ana.token), CHANGES, {}, 'conversations');
    await stream.until(({ type }) => type === 'CAUGHT_UP');
    return stream;
  };
  const titles = ({ events }: Listening) => events.flatMap(({ conversation }) => conversation?.title ?? []);
  const untilTitle = (stream: Listening, title: string) => stream.until((event) => event.conversation?.title === title);

  it('is delivered on both nodes after the commit, once and in order', async () => {
    // Opened before, because the creation of the group could otherwise reach the other node before or after it is open.
    const streams = await Promise.all([follow(node.url), follow(other.url)]);
    const group = await createGroup(ana, []);
    await node.deps.database.transaction(async (tx) => {
      await rename(tx, group, 'first');
      await rename(tx, group, 'second');
    });
    await node.deps.database.transaction((tx) => rename(tx, group, 'third'));
    for (const stream of streams) {
      await untilTitle(stream, 'third');
      expect(titles(stream)).toEqual(['A group', 'first', 'second', 'third']);
    }
  });

  it('is not announced after a rollback', async () => {
    const { database } = node.deps;
    const stream = await follow(node.url);
    const group = await createGroup(ana, []);
    const announced = database.transaction(async (tx) => {
      await rename(tx, group, 'rolled back');
      throw new Error('changed its mind');
    });
    await expect(announced).rejects.toThrow('changed its mind');
    // It has the number of the first one: had that one been announced, this one would be dropped as a repetition.
    await database.transaction((tx) => rename(tx, group, 'committed'));
    await untilTitle(stream, 'committed');
    expect(titles(stream)).toEqual(['A group', 'committed']);
  });

  itOnce('is announced once if the transaction runs again after a deadlock', async () => {
    const { database } = node.deps;
    const announced: string[] = [];
    const words = defineAnnouncement<string>('words');
    database.onCommitted(words, (items) => void announced.push(...items));
    let attempts = 0;
    await database.transaction(async (tx) => {
      attempts += 1;
      announceAfterCommit(tx, words, `attempt ${attempts}`);
      if (attempts === 1) throw Object.assign(new Error('deadlock detected'), { code: '40P01' });
    });
    expect([attempts, announced]).toEqual([2, ['attempt 2']]);
  });

  itOnce('does not fail the transaction or hold back other changes if it cannot be announced', async () => {
    const { database } = node.deps;
    const announced: string[] = [];
    const [failing, words] = [defineAnnouncement<string>('failing'), defineAnnouncement<string>('words')];
    database.onCommitted(failing, () => {
      throw new Error('no way to announce it');
    });
    database.onCommitted(words, (items) => void announced.push(...items));
    const result = await database.transaction(async (tx) => {
      announceAfterCommit(tx, failing, 'a');
      announceAfterCommit(tx, words, 'b');
      return 'done';
    });
    expect([result, announced]).toEqual(['done', ['b']]);
  });

  itOnce('must be recorded in a transaction', () => {
    expect(() => announceAfterCommit(node.deps.database.db, changesCommitted)).toThrow('only be recorded in');
  });
});
