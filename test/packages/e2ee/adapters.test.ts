import { ApolloClient, ApolloLink, gql, InMemoryCache } from '@apollo/client';
import { createClient, subscriptionExchange } from '@urql/core';
import { Observable } from 'rxjs';
import { expect, it } from 'vitest';
import { e2eeLink } from '../../../packages/e2ee/src/adapters/apollo.js';
import { decryptData } from '../../../packages/e2ee/src/adapters/decrypt.js';
import { e2eeExchange } from '../../../packages/e2ee/src/adapters/urql.js';
import {
  type E2ee,
  encryptedMessageFields,
  memoryLocks,
  memoryStorage,
  openE2ee,
} from '../../../packages/e2ee/src/index.js';
import { eventually } from '../../support/client.js';
import { createFakeServer } from './fake-server.js';

/** A conversation with some messages, and a client that reads it. */
async function scene() {
  const server = createFakeServer();
  const open = async (userId: string): Promise<E2ee> => {
    const execute = server.executeAs(userId);
    const e2ee = await openE2ee({ storage: memoryStorage(), execute, locks: memoryLocks() });
    await e2ee.setUp();
    return e2ee;
  };
  const [alice, bob] = [await open('alice'), await open('bob')];
  const conversation = server.createConversation(['alice', 'bob']);
  await alice.conversation(conversation.id).enable();
  for (const text of ['one', 'two']) await alice.conversation(conversation.id).send({ text });
  const answer = (message: (typeof conversation.messages)[number]) => ({
    __typename: 'Message',
    ...message,
    text: null as string | null,
  });
  const tampered = { ...conversation.messages[0], id: 'tampered', clientMessageId: 'other' };
  const nodes = [...conversation.messages, tampered as (typeof conversation.messages)[number]].map(answer);
  const data = () => ({ node: { __typename: 'Conversation', id: conversation.id, messages: { nodes } } });
  return { alice, bob, conversation, answer, data };
}

const query = `query Messages { node { __typename id ... on Conversation { messages { nodes { __typename text ${encryptedMessageFields} } } } } }`;

type Shown = { node: { messages: { nodes: { text: string | null }[] } } };
const textsOf = (data: unknown) => (data as Shown).node.messages.nodes.map(({ text }) => text);

it('the link of Apollo Client fills the texts, and reports what cannot be decrypted', async () => {
  const { bob, data } = await scene();
  const failed: string[] = [];
  const server = new ApolloLink(
    () =>
      new Observable((observer) => {
        observer.next({ data: data() });
        observer.complete();
      }),
  );
  const onError = (_: unknown, { id }: { id: string }) => failed.push(id);
  const apollo = new ApolloClient({
    cache: new InMemoryCache({ possibleTypes: { Node: ['Conversation'] } }),
    link: ApolloLink.from([e2eeLink(bob, { onError }), server]),
  });
  const result = await apollo.query({ query: gql(query) });
  expect(textsOf(result.data)).toEqual(['one', 'two', null]);
  expect(textsOf(apollo.cache.readQuery({ query: gql(query) }))).toEqual(['one', 'two', null]);
  expect(failed).toEqual(['tampered']);
  apollo.stop();
});

it('reactions have their emojis, and none that cannot be decrypted is shown as it is', async () => {
  const { alice, bob, conversation, answer } = await scene();
  const [one, two] = conversation.messages as [
    (typeof conversation.messages)[number],
    (typeof conversation.messages)[number],
  ];
  const { reactions } = await alice.conversation(conversation.id).open(one);
  const [thumb, party] = [await reactions.seal('👍'), await reactions.seal('🎉')];
  const groups = [thumb, '❤️', party].map((emoji, index) => ({ emoji, count: index + 1, isEncrypted: emoji !== '❤️' }));
  const messages = [
    { ...answer(one), reactions: groups, viewerReactions: [party, '❤️'] },
    { ...answer(two), reactions: groups.slice(0, 2), viewerReactions: [thumb] },
    { ...answer(one), id: 'tampered', clientMessageId: 'other', reactions: groups.slice(0, 1), viewerReactions: [] },
    { ...answer(one), reactions: undefined, viewerReactions: [party] },
  ];
  const failures: string[] = [];
  const shown = await decryptData(bob, messages, { onError: (_, { id }) => failures.push(id) });
  expect(shown.map(({ reactions: shownGroups, viewerReactions }) => ({ shownGroups, viewerReactions }))).toEqual([
    {
      shownGroups: [
        { emoji: '👍', count: 1, isEncrypted: true },
        { emoji: '❤️', count: 2, isEncrypted: false },
        { emoji: '🎉', count: 3, isEncrypted: true },
      ],
      viewerReactions: ['🎉', '❤️'],
    },
    {
      shownGroups: [
        { emoji: '\uFFFD', count: 1, isEncrypted: true },
        { emoji: '❤️', count: 2, isEncrypted: false },
      ],
      viewerReactions: ['\uFFFD'],
    },
    { shownGroups: [{ emoji: '\uFFFD', count: 1, isEncrypted: true }], viewerReactions: [] },
    { shownGroups: undefined, viewerReactions: ['🎉'] },
  ]);
  expect(failures.sort()).toEqual([two.id, 'tampered'].sort());
});

it('the exchange of urql fills the texts, and keeps the order of events', async () => {
  const { bob, data, conversation, answer } = await scene();
  const urql = createClient({
    url: 'http://unused',
    preferGetMethod: false,
    exchanges: [
      e2eeExchange(bob),
      subscriptionExchange({
        enableAllOperations: true,
        forwardSubscription: (_, { kind }) => ({
          subscribe(sink) {
            if (kind === 'subscription') {
              for (const message of conversation.messages)
                sink.next({ data: { messages: { message: answer(message) } } });
              for (const id of ['a', 'b']) sink.next({ data: { messages: { message: { id, text: id } } } });
            } else {
              sink.next({ data: data() });
            }
            sink.complete();
            return { unsubscribe() {} };
          },
        }),
      }),
    ],
  });
  const { data: shown } = await urql.query(query, {}).toPromise();
  expect(textsOf(shown)).toEqual(['one', 'two', null]);
  const events: unknown[] = [];
  const follow = urql.subscription('subscription { messages { message { id } } }', {});
  const { unsubscribe } = follow.subscribe((result) => {
    if (result.hasNext) events.push(result.data?.messages.message.text);
  });
  await eventually('all events arrived', () => events.length >= 4);
  expect(events).toEqual(['one', 'two', 'a', 'b']);
  unsubscribe();
});
