import { beforeAll, describe, expect, it } from 'vitest';
import { decodeGlobalId } from '../../src/core/ids.js';
import { conversationChanged } from '../../src/domain/conversation/conversation.events.js';
import { lockAndNumber } from '../../src/domain/conversation/conversation.store.js';
import type { Tx } from '../../src/infra/database/database.js';
import { announceAfterCommit, defineAnnouncement } from '../../src/infra/database/unit-of-work.js';
import { changesCommitted, recordChange } from '../../src/realtime/change-log.js';
import type { RunningNode } from '../../src/server/start.js';
import { connectInTest, eventually, type Listening, listen, type Person, registerAll } from '../support/client.js';
import { footings, makePlace, startTwo } from '../support/place.js';
import { createGroup } from '../support/talk.js';

const CHANGES = 'subscription { conversations { type changeSeq conversation { id } } }';

/** A service that changes a group and only records that. */
async function touch(tx: Tx, groupId: string): Promise<void> {
  const conversation = await lockAndNumber(tx, decodeGlobalId(groupId, 'id').id);
  if (!conversation) throw new Error('no such group');
  await recordChange(tx, conversationChanged('updated', null, null, { conversation }));
}

describe.each(footings)('what a transaction records on the %s footing', (footing) => {
  let node: RunningNode;
  let other: RunningNode;
  let ana: Person;
  beforeAll(async () => {
    // Nothing is found by a sweep.
    [node, other] = await startTwo(await makePlace(footing), { SWEEP_INTERVAL: '1h' });
    await eventually('they hear each other', () => node.deps.eventsConnected() && other.deps.eventsConnected());
    [ana] = await registerAll(node.url, 'ana');
  });

  const follow = async (url: string): Promise<Listening> => {
    const stream = listen(connectInTest(url, ana.token), CHANGES, {}, 'conversations');
    await stream.until(({ type }) => type === 'CAUGHT_UP');
    return stream;
  };
  const numbers = ({ events }: Listening, id: string) =>
    events.filter(({ conversation }) => conversation?.id === id).map(({ changeSeq }) => changeSeq);

  it('is delivered on both nodes after the commit, once and in order', async () => {
    const group = await createGroup(ana, []);
    const streams = await Promise.all([follow(node.url), follow(other.url)]);
    await node.deps.database.transaction(async (tx) => {
      await touch(tx, group);
      await touch(tx, group);
    });
    await node.deps.database.transaction((tx) => touch(tx, group));
    for (const stream of streams) {
      await stream.until(({ changeSeq }) => changeSeq === 4);
      expect(numbers(stream, group)).toEqual([2, 3, 4]);
    }
  });

  it('is not announced after a rollback', async () => {
    const group = await createGroup(ana, []);
    const { database } = node.deps;
    const stream = await follow(node.url);
    const announced = database.transaction(async (tx) => {
      await touch(tx, group);
      throw new Error('changed its mind');
    });
    await expect(announced).rejects.toThrow('changed its mind');
    // The same number again: had the first change been announced, this one would count as a repeat of it.
    await database.transaction((tx) => touch(tx, group));
    const event = await stream.until(({ changeSeq }) => changeSeq === 2);
    expect(event).toMatchObject({ type: 'CONVERSATION_UPDATED', conversation: { id: group } });
    expect(numbers(stream, group)).toEqual([2]);
  });

  it('is announced once when a deadlock makes the work run again', async () => {
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

  it('does not make the transaction fail when it cannot be announced, nor keep back what else it recorded', async () => {
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

  it('must be recorded in a transaction', () => {
    expect(() => announceAfterCommit(node.deps.database.db, changesCommitted)).toThrow('only be recorded in');
  });
});
