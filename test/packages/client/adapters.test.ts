import { ApolloClient, InMemoryCache } from '@apollo/client';
import { CombinedGraphQLErrors } from '@apollo/client/errors';
import { createClient } from '@urql/core';
import { cacheExchange } from '@urql/exchange-graphcache';
import { afterEach, describe, expect, it, vi } from 'vitest';
import * as apolloAdapter from '../../../packages/client/src/adapters/apollo.js';
import { errorCode, parleyNetwork } from '../../../packages/client/src/adapters/relay.js';
import * as urqlAdapter from '../../../packages/client/src/adapters/urql.js';
import type { Parley } from '../../../packages/client/src/index.js';
import { trimChangeLog } from '../../../src/realtime/change-log.js';
import type { RunningNode } from '../../../src/server/start.js';
import { Messages, NodeById, Opening } from '../../clients/operations.js';
import { eventually, registerAll } from '../../support/client.js';
import { rowId } from '../../support/durable-streams.js';
import { atEnd } from '../../support/ending.js';
import { detailModes, makePlace, sharedNode } from '../../support/place.js';
import { startProxy } from '../../support/proxy.js';
import { openAlone } from '../../support/tabs.js';
import { edit, openDirect, remove, send } from '../../support/talk.js';
import * as relay from './relay/chat.js';

interface Event {
  type: string;
  changeSeq?: number | null | undefined;
}

/** A chat that a library shows from its own cache. */
interface Chat {
  /** Fetches the messages from the server, and returns `syncCursor`. */
  load(): Promise<string | undefined>;
  /** The texts as they are in the cache. */
  texts(): (string | null)[];
  follow(after: string | undefined, onEvent: (event: Event) => void, onError: (code: unknown) => void): () => void;
  /** Queries an object by its id. Returns the code of the error if there is one. */
  tryNode(id: string): Promise<unknown>;
}

function apolloChat(parley: Parley, id: string, onExpired?: () => void): Chat {
  const { possibleTypes, parleyLink, writeEvent } = apolloAdapter;
  const apollo = new ApolloClient({
    cache: new InMemoryCache({ possibleTypes }),
    link: parleyLink(parley, onExpired && { onExpired }),
  });
  const opening = { query: Opening, variables: { id } };
  const codeOf = (error: unknown) =>
    CombinedGraphQLErrors.is(error) ? error.errors[0]?.extensions?.['code'] : (error as { code?: string })?.code;
  // Without onExpired, the active queries are fetched again.
  const watched = apollo.watchQuery(opening).subscribe(() => {});
  atEnd(() => {
    watched.unsubscribe();
    apollo.stop();
  });
  return {
    load: async () => {
      const { data } = await apollo.query({ ...opening, fetchPolicy: 'network-only' });
      return data?.viewer?.syncCursor;
    },
    texts: () => apollo.cache.readQuery(opening)?.conversation?.messages?.nodes.map(({ text }) => text ?? null) ?? [],
    follow(after, onEvent, onError) {
      const subscription = apollo.subscribe({ query: Messages, variables: { after } }).subscribe({
        next({ data, error }) {
          if (error) onError(codeOf(error));
          if (!data) return;
          writeEvent(apollo.cache, data.messages);
          onEvent(data.messages);
        },
      });
      return () => subscription.unsubscribe();
    },
    async tryNode(node) {
      const { error } = await apollo.query({ query: NodeById, variables: { id: node }, errorPolicy: 'all' });
      return codeOf(error);
    },
  };
}

function urqlChat(parley: Parley, id: string, onExpired: () => void): Chat {
  const { parleyExchange, writeEvent } = urqlAdapter;
  const none = () => null;
  const urql = createClient({
    url: 'http://unused',
    preferGetMethod: false,
    exchanges: [
      cacheExchange({
        keys: { MessageConnection: none, MessageEvent: none },
        updates: { Subscription: { messages: ({ messages }, _args, cache) => writeEvent(cache, messages as never) } },
      }),
      parleyExchange(parley, { onExpired }),
    ],
  });
  let shown: (string | null)[] = [];
  // A list that is displayed, and fetched again if it contains an erased message.
  const { unsubscribe } = urql.query(Opening, { id }).subscribe(({ data }) => {
    shown = data?.conversation?.messages?.nodes.map(({ text }) => text ?? null) ?? [];
  });
  atEnd(unsubscribe);
  return {
    load: async () => {
      const { data } = await urql.query(Opening, { id }, { requestPolicy: 'network-only' }).toPromise();
      return data?.viewer?.syncCursor;
    },
    texts: () => shown,
    follow: (after, onEvent, onError) =>
      urql.subscription(Messages, { after }).subscribe(({ data, error, hasNext }) => {
        // The final result repeats the previous one.
        if (error && !hasNext) onError(error.graphQLErrors[0]?.extensions['code']);
        else if (data && hasNext) onEvent(data.messages);
      }).unsubscribe,
    async tryNode(node) {
      const { error } = await urql.query(NodeById, { id: node }).toPromise();
      return (
        error?.graphQLErrors[0]?.extensions['code'] ?? (error?.networkError as { code?: string } | undefined)?.code
      );
    },
  };
}

function relayChat(parley: Parley, id: string, onExpired: () => void): Chat {
  const environment = relay.createEnvironment(parleyNetwork(parley, { onExpired }));
  return {
    load: async () => (await relay.load(environment, id)).viewer?.syncCursor,
    texts: () => relay.textsOf(environment, id),
    follow: (after, onEvent, onError) =>
      relay.follow(environment, after, onEvent, (error) => onError(errorCode(error))),
    tryNode: (node) =>
      relay.load(environment, node).then(
        () => undefined,
        (error) => errorCode(error),
      ),
  };
}

const adapters: [string, (parley: Parley, id: string, onExpired: () => void) => Chat][] = [
  ['Apollo Client', apolloChat],
  ['Apollo Client without onExpired', (parley, id) => apolloChat(parley, id)],
  ['urql', urqlChat],
  ['Relay', relayChat],
];

const portOf = (node: RunningNode) => Number(new URL(node.url).port);

describe.each(detailModes)('the adapters in %s mode', (mode) => {
  const nodeWith = (env: Record<string, string> = {}) => sharedNode(mode, env);
  afterEach(() => vi.restoreAllMocks());

  async function meet(node: RunningNode) {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const id = await openDirect(ana, ben);
    const proxy = await startProxy(portOf(node));
    const parley = openAlone({ url: `http://127.0.0.1:${proxy.port}/graphql`, sync: false });
    await parley.session.useTokens({ accessToken: ben.token, refreshToken: ben.refreshToken });
    return { ana, ben, id, proxy, parley };
  }

  /** Opens the conversation with an adapter and follows it. */
  async function show(open: (typeof adapters)[number][1], parley: Parley, id: string) {
    let expired = 0;
    const loads: Promise<unknown>[] = [];
    const chat = open(parley, id, () => {
      expired += 1;
      loads.push(chat.load());
    });
    // Apollo Client rejects what is still being loaded when it is stopped.
    atEnd(() => Promise.all(loads));
    const events: Event[] = [];
    const codes: unknown[] = [];
    const cursor = await chat.load();
    const stop = chat.follow(
      cursor,
      (event) => events.push(event),
      (code) => codes.push(code),
    );
    atEnd(stop);
    await eventually('it is live', () => events.some(({ type }) => type === 'CAUGHT_UP'));
    return { ...chat, events, codes, stop, expired: () => expired };
  }
  const isShown = (chat: { texts(): unknown[] }, ...expected: unknown[]) =>
    eventually(`it shows ${expected.join(', ')}`, () => JSON.stringify(chat.texts()) === JSON.stringify(expected));
  /** Does the same with every adapter at the same time, each in a conversation of its own. */
  const withEach = <Scene, Result>(scenes: readonly Scene[], work: (scene: Scene) => Promise<Result>) =>
    Promise.all(scenes.map(work));
  const named = ([name, open]: (typeof adapters)[number]) => ({ name, open });

  it('show the state of the server across a restart, and deliver each change once', { timeout: 60_000 }, async () => {
    const place = await makePlace(mode);
    const node = await place.start();
    const scenes = await withEach(adapters.map(named), async ({ name, open }) => {
      const met = await meet(node);
      const { ana, id, parley } = met;
      const first = await send(ana, id, 'one');
      const chat = await show(open, parley, id);
      const second = await send(ana, id, 'two');
      const third = await send(ana, id, 'three');
      await isShown(chat, 'one', 'two', 'three');
      return { ...met, name, chat, first, second, third };
    });
    await node.stop();
    // The messages are erased before the streams can resume.
    for (const { proxy } of scenes) proxy.pointTo(1);
    const again = await place.start({ PORT: String(portOf(node)) });
    await withEach(scenes, async ({ name, ana, id, proxy, chat, first, second, third }) => {
      await edit(ana, first.id, 'one, edited');
      await remove(ana, second.id);
      await edit(ana, third.id, 'erased');
      await again.deps.database.db.message.delete({ where: { id: rowId(third.id) } });
      await send(ana, id, 'four');
      proxy.pointTo(portOf(again));
      await isShown(chat, 'one, edited', null, 'four');
      const changes = chat.events.flatMap(({ changeSeq }) => changeSeq ?? []);
      expect(changes, name).toEqual([...new Set(changes)].sort((one, other) => one - other));
      expect([chat.codes, chat.expired()], name).toEqual([[], 0]);
      chat.stop();
    });
    await eventually('the sockets are closed', () => again.openSockets() === 0);
  });

  it('fetch again when too much was missed, and go on', { timeout: 60_000 }, async () => {
    const node = await (await makePlace(mode)).start();
    const scenes = await withEach(adapters.map(named), async ({ name, open }) => {
      const met = await meet(node);
      await send(met.ana, met.id, 'one');
      return { ...met, name, chat: await show(open, met.parley, met.id) };
    });
    await withEach(scenes, async ({ ana, id, proxy }) => {
      proxy.pointTo(1);
      proxy.cut();
      await send(ana, id, 'missed');
    });
    await eventually('the log is trimmed', async () => {
      await trimChangeLog(node.deps.database.db, 0);
      return (await node.deps.database.db.change.count()) === 0;
    });
    await withEach(scenes, async ({ name, ana, id, proxy, chat }) => {
      proxy.pointTo(portOf(node));
      await isShown(chat, 'one', 'missed');
      await send(ana, id, 'later');
      await isShown(chat, 'one', 'missed', 'later');
      expect(chat.codes, name).toEqual([]);
    });
  });

  describe.each(adapters)('for %s', (name, open) => {
    it('deliver no change again that a resume repeats', async () => {
      // Without a sweep, the cursor of an event does not contain the event, so that a resume repeats it.
      const { ana, id, proxy, parley } = await meet(await nodeWith({ SWEEP_INTERVAL: '1h' }));
      const chat = await show(open, parley, id);
      await send(ana, id, 'one');
      await isShown(chat, 'one');
      proxy.cut();
      const caughtUp = () => chat.events.filter(({ type }) => type === 'CAUGHT_UP').length;
      await eventually('it has resumed', () => caughtUp() === 2);
      await send(ana, id, 'two');
      await isShown(chat, 'one', 'two');
      expect([chat.codes, chat.expired()]).toEqual([[], 0]);
      expect(chat.events.flatMap(({ changeSeq }) => changeSeq ?? [])).toHaveLength(2);
    });

    it('renew an expired token once', async () => {
      const node = await nodeWith();
      const { ana, ben, id, parley } = await meet(node);
      await send(ana, id, 'one');
      await parley.session.useTokens({ accessToken: 'expired', refreshToken: ben.refreshToken });
      const fetched = vi.spyOn(globalThis, 'fetch');
      const chats = await Promise.all([show(open, parley, id), show(open, parley, id)]);
      for (const chat of chats) await isShown(chat, 'one');
      const refreshes = fetched.mock.calls.filter(([, init]) => String(init?.body).includes('mutation RefreshSession'));
      expect(refreshes).toHaveLength(1);
      expect(node.openSockets()).toBe(1);
    });

    it('report errors with their codes, and end streams with the session', async () => {
      const node = await nodeWith();
      const { ben, id, parley } = await meet(node);
      const chat = await show(open, parley, id);
      // Relay treats errors of fields according to its directives `@throwOnFieldError` and `@catch`.
      expect(await chat.tryNode('no id')).toBe(name === 'Relay' ? undefined : 'BAD_USER_INPUT');
      await ben.ask('mutation { logout { sessionId } }');
      await eventually('the stream has ended', () => chat.codes.length > 0);
      expect(chat.codes).toEqual(['UNAUTHENTICATED']);
      const unreachable = openAlone({ url: 'http://127.0.0.1:1/graphql', sync: false });
      expect(await open(unreachable, id, () => {}).tryNode(id)).toBe('NETWORK');
    });
  });
});
