import { type ExecutionArgs, GraphQLObjectType, GraphQLSchema, GraphQLString, parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import type { Logger } from '../../src/infra/telemetry/log.js';
import { LiveStream } from '../../src/realtime/live-stream.js';
import type { Outbox } from '../../src/server/outbox.js';
import { SocketStream } from '../../src/server/socket-stream.js';
import { createSubscriptions, resultsOf, SharedSubscription } from '../../src/server/subscriptions.js';
import { eventually } from '../support/client.js';

interface Event {
  name: string;
}

const fields = { name: { type: GraphQLString } };

/** Opens subscriptions of users to streams with initial events, of which the second page is never read. */
function openAll() {
  const charged: string[] = [];
  const used: string[] = [];
  const subscriptions = createSubscriptions({} as Logger, {
    charge: (userId) => charged.push(userId),
    onUse: (userId) => used.push(userId),
  });
  const document = parse('subscription { name }');
  const open = async (userId: string) => {
    const stream = new LiveStream<Event>({
      userId,
      queueMax: 100,
      onSlowConsumer() {},
      onClose() {},
      readMore: () => new Promise(() => {}),
    });
    const subscription = { name: { type: GraphQLString, subscribe: () => stream } };
    const schema = new GraphQLSchema({
      query: new GraphQLObjectType({ name: 'Query', fields }),
      subscription: new GraphQLObjectType({ name: 'Subscription', fields: subscription }),
    });
    const args = { schema, document, contextValue: { requester: null } };
    const opened = await subscriptions.open(args as unknown as ExecutionArgs);
    if (!(opened instanceof SharedSubscription)) throw new Error('the subscription could not be opened');
    return { stream, subscription: opened };
  };
  return { open, charged, used, counts: subscriptions.counts };
}

describe('the events of subscriptions', () => {
  it.each(['SSE', 'WebSocket'])(
    'are charged to the subscriber if they are initial ones, not if they happened and wait (%s)',
    async (transport) => {
      const { open, charged, counts } = openAll();
      const { stream, subscription } = await open('ana');
      for (const name of ['1', '2']) stream.pushInitial({ name });
      for (const name of ['3', '4', '5']) stream.push({ name });
      let received = 0;
      if (transport === 'SSE') {
        const events = resultsOf(subscription, counts, () => {});
        for (; received < 5; received += 1) await events.next();
      } else {
        const outbox = { push: () => (received += 1) };
        void new SocketStream(subscription, outbox as unknown as Outbox, '1').next();
        await eventually('all events are written', () => received === 5);
        // It goes on while further initial events are being read.
        stream.push({ name: '6' });
        await eventually('an event that happens now is written', () => received === 6);
      }
      expect(charged).toEqual(['ana', 'ana']);
    },
  );

  it('count as use of the node by two of their users', async () => {
    const { open, used } = openAll();
    const all = await Promise.all(['ana', 'ana', 'bob', 'carol'].map(open));
    for (const name of ['1', '2']) {
      const event = { name };
      for (const { subscription } of all) subscription.answerTo(event);
    }
    expect(used).toEqual(['ana', 'bob', 'ana', 'bob']);
  });
});
