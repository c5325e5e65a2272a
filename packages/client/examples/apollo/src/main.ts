import { ApolloClient, InMemoryCache } from '@apollo/client';
import { createParley } from '@parley/client';
import { parleyLink, possibleTypes, writeEvent } from '@parley/client/apollo';
import { Messages, Opening, SendMessage } from './operations';
import { onSubmit, showChat, showMessages } from './page';

const url = new URLSearchParams(location.search).get('server') ?? 'http://localhost:4000/graphql';
const parley = createParley({ url, sync: false });
const apollo = new ApolloClient({ cache: new InMemoryCache({ possibleTypes }), link: parleyLink(parley) });

/** Shows the latest conversation and follows it. */
async function open(): Promise<void> {
  const { data } = await apollo.query({ query: Opening, fetchPolicy: 'network-only' });
  apollo.watchQuery({ query: Opening, fetchPolicy: 'cache-only' }).subscribe(({ data: shown, dataState }) => {
    if (dataState !== 'complete') return;
    showMessages(shown.viewer?.conversations?.nodes[0]?.messages?.nodes ?? []);
  });
  apollo.subscribe({ query: Messages, variables: { after: data?.viewer?.syncCursor } }).subscribe(({ data: event }) => {
    if (event) writeEvent(apollo.cache, event.messages);
  });
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
  const known = apollo.readQuery({ query: Opening });
  const conversationId = known?.viewer?.conversations?.nodes[0]?.id;
  if (conversationId === undefined) throw new Error('There is no conversation yet.');
  const input = { conversationId, text, clientMessageId: crypto.randomUUID() };
  await apollo.mutate({ mutation: SendMessage, variables: { input } });
});
