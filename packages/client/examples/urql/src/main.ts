import { createParley } from '@parley/client';
import { parleyExchange, writeEvent } from '@parley/client/urql';
import { createClient } from '@urql/core';
import { cacheExchange } from '@urql/exchange-graphcache';
import { Messages, Opening, SendMessage } from './operations';
import { onSubmit, showChat, showMessages } from './page';

const url = new URLSearchParams(location.search).get('server') ?? 'http://localhost:4000/graphql';
const parley = createParley({ url, sync: false });
const cache = cacheExchange({
  keys: { ConversationConnection: () => null, MessageConnection: () => null, MessageEvent: () => null },
  updates: { Subscription: { messages: ({ messages }, _args, store) => writeEvent(store, messages as never) } },
});
const urql = createClient({ url, preferGetMethod: false, exchanges: [cache, parleyExchange(parley)] });

/** Shows the latest conversation and follows it. */
async function open(): Promise<void> {
  const { data } = await urql.query(Opening, {}, { requestPolicy: 'network-only' }).toPromise();
  urql.query(Opening, {}).subscribe(({ data: shown }) => {
    showMessages(shown?.viewer?.conversations?.nodes[0]?.messages?.nodes ?? []);
  });
  urql.subscription(Messages, { after: data?.viewer?.syncCursor }).subscribe(() => {});
}

let isOpen = false;
parley.session.subscribe(({ status }) => {
  showChat(status === 'signedIn');
  if (status === 'signedIn' && !isOpen) void open();
  isOpen = status === 'signedIn';
});
onSubmit('#sign-in', ({ username = '', password = '' }) =>
  parley.session.signIn({ usernameOrEmail: username, password }),
);
onSubmit('#send', async ({ text = '' }) => {
  const known = urql.readQuery(Opening, {});
  const conversationId = known?.data?.viewer?.conversations?.nodes[0]?.id;
  if (conversationId === undefined) throw new Error('There is no conversation yet.');
  const input = { conversationId, text, clientMessageId: crypto.randomUUID() };
  const { error } = await urql.mutation(SendMessage, { input }).toPromise();
  if (error) throw error;
});
