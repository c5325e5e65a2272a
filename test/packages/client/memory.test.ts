import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { createConversation } from '../../../packages/client/src/conversation.js';
import { createStore, normalize } from '../../../packages/client/src/store.js';

const MESSAGES = 2_000;

/** The bytes of all objects that are still in use. */
function usedBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let time = 0; time < 2; time += 1) collect();
  return process.memoryUsage().heapUsed;
}

it('an open conversation needs memory for its messages, but not for what it displayed earlier', async () => {
  const store = createStore();
  const conversation = { __typename: 'Conversation', id: 'c1', kind: 'GROUP', members: { nodes: [] } };
  const handle = createConversation('c1', {
    store,
    request: () => new Promise(() => {}),
    outbox: { entries: () => [] },
    sync: {},
    pageSize: 50,
  } as never);
  const arrive = (from: number, to: number) => {
    for (let seq = from; seq <= to; seq += 1) {
      const sender = { __typename: 'User', id: 'u1', displayName: 'Ana' };
      const createdAt = new Date(seq).toISOString();
      const message = { __typename: 'Message', id: `m${seq}`, seq, text: 'text', replyCount: 0, createdAt, sender };
      const put = normalize([message, { ...conversation, latestSeq: seq }], 'c1');
      store.apply({ put, cover: [['c1', 1, seq]] });
      expect(handle.value.rows).toHaveLength(seq);
    }
  };
  store.held.add('c1');
  const stop = handle.subscribe(() => {});
  arrive(1, MESSAGES / 2);
  const before = usedBytes();
  arrive(MESSAGES / 2 + 1, MESSAGES);
  const perMessage = (usedBytes() - before) / (MESSAGES / 2);
  stop();
  console.log(`${Math.round(perMessage)} bytes per message`);
  expect(perMessage).toBeLessThan(10_000);
});
