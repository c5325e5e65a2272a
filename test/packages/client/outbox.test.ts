import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import {
  type ConversationHandle,
  type Parley,
  ParleyError,
  type ParleyOptions,
} from '../../../packages/client/src/index.js';
import { createOutbox } from '../../../packages/client/src/outbox.js';
import { createStore } from '../../../packages/client/src/store.js';
import type { RunningNode } from '../../../src/server/start.js';
import { eventually, type Person, registerAll } from '../../support/client.js';
import { detailModes, makePlace, sharedNode } from '../../support/place.js';
import { startProxy } from '../../support/proxy.js';
import { stopShared } from '../../support/shared.js';
import { openAlone, openBrowser } from '../../support/tabs.js';
import { openDirect } from '../../support/talk.js';

it('an outbox that waits after failures tries again as soon as the connection is live', async () => {
  await stopShared();
  const store = createStore();
  let attempts = 0;
  const request = async () => {
    attempts += 1;
    throw new ParleyError('NETWORK', 'The server could not be reached.');
  };
  const outbox = createOutbox(store, request, async () => {});
  outbox.start();
  vi.useFakeTimers({ toFake: ['setTimeout'] });
  try {
    await outbox.add({ conversationId: 'c', text: 'Hello', replyToId: undefined });
    await vi.waitUntil(() => attempts === 1);
    store.state.set('~connection', { status: 'live' });
    await vi.waitUntil(() => attempts === 2);
  } finally {
    vi.useRealTimers();
    outbox.stop();
  }
});

const portOf = (node: RunningNode) => Number(new URL(node.url).port);
const isLive = (parley: Parley) => parley.connection.value.status === 'live';
const texts = (handle: ConversationHandle) => handle.value.rows.map(({ text }) => text);

/**
 * Watches how messages are sent over WebSockets that are opened from now on. `onResponse` is called with each response, which
 * is lost if it returns true.
 */
function watchSends(onResponse: (socket: WebSocket) => boolean = () => false) {
  const ids = new Set<string>();
  const counts = { sockets: 0, sends: 0 };
  class WatchedWebSocket extends WebSocket {
    constructor(...args: ConstructorParameters<typeof WebSocket>) {
      super(...args);
      counts.sockets += 1;
    }
    override send(data: string): void {
      const { id, payload } = JSON.parse(data);
      if (payload?.query?.includes('mutation SendMessage')) {
        counts.sends += 1;
        ids.add(id);
      }
      super.send(data);
    }
    override emit(event: string, ...args: unknown[]): boolean {
      const isResponse = event === 'message' && ids.delete(JSON.parse(String(args[0])).id);
      return isResponse && onResponse(this) ? true : super.emit(event, ...args);
    }
  }
  vi.stubGlobal('WebSocket', WatchedWebSocket);
  return counts;
}

describe.each(detailModes)('the outbox of a client in %s mode', (mode) => {
  let node: RunningNode;

  beforeAll(async () => {
    node = await sharedNode(mode);
  });
  afterEach(() => vi.restoreAllMocks());

  async function meet(server = node, options: Partial<ParleyOptions> = { requestTimeout: 1_000 }) {
    const [ana, ben] = await registerAll(server.url, 'ana', 'ben');
    const id = await openDirect(ana, ben);
    const proxy = await startProxy(portOf(server));
    const browser = openBrowser();
    const open = () => browser.open({ url: `http://127.0.0.1:${proxy.port}/graphql`, ...options });
    const parley = open();
    await parley.session.useTokens({ accessToken: ana.token, refreshToken: ana.refreshToken });
    await eventually('it is live', () => isLive(parley));
    const conversation = parley.conversation(id);
    conversation.subscribe(() => {});
    return { ana, ben, id, proxy, parley, open, conversation };
  }

  /** The texts of a conversation in the order of the server. */
  async function stored(person: Person, id: string): Promise<string[]> {
    const { conversation } = await person.ask(
      'query ($id: ID!) { conversation(id: $id) { messages { nodes { text } } } }',
      {
        id,
      },
    );
    return conversation.messages.nodes.map(({ text }: { text: string }) => text);
  }

  it('sends again as soon as it has noticed that nothing arrives any more', { timeout: 60_000 }, async () => {
    const { ben, id, proxy, conversation } = await meet(node, { keepAlive: 200 });
    proxy.swallow();
    const since = Date.now();
    await conversation.send('into the silence');
    await conversation.send('after it');
    await eventually('both are stored', async () => (await stored(ben, id)).length === 2);
    // An HTTP request would be waited for for 30 seconds.
    expect(Date.now() - since).toBeLessThan(20_000);
    expect(await stored(ben, id)).toEqual(['into the silence', 'after it']);
  });

  it('sends what was written offline once and in order, after a page load too', { timeout: 60_000 }, async () => {
    const { ben, id, proxy, parley, open, conversation } = await meet();
    proxy.pointTo(1);
    proxy.cut();
    const written = Array.from({ length: 20 }, (_, index) => `offline ${index + 1}`);
    for (const text of written.slice(0, 10)) await conversation.send(text);
    await eventually('they are shown', () => conversation.value.rows.length === 10);
    expect(new Set(conversation.value.rows.map(({ status }) => status))).not.toContain('stored');
    await parley.close();
    const next = open();
    const shown = next.conversation(id);
    shown.subscribe(() => {});
    for (const text of written.slice(10)) await shown.send(text);
    await eventually('all are shown', () => texts(shown).length === 20);
    expect(texts(shown)).toEqual(written);
    expect(await stored(ben, id)).toEqual([]);
    proxy.pointTo(portOf(node));
    const start = Date.now();
    await eventually('all are sent', () => next.outbox.value.length === 0);
    expect(Date.now() - start).toBeLessThan(6_000);
    expect(await stored(ben, id)).toEqual(written);
    expect(texts(shown)).toEqual(written);
  });

  it('stores a message once whose responses are lost', { timeout: 60_000 }, async () => {
    const { ben, id, proxy, conversation, parley } = await meet();
    let lost = 0;
    const sends = watchSends((socket) => {
      if (lost === 2) return false;
      lost += 1;
      socket.terminate();
      return true;
    });
    proxy.cut();
    await eventually('it is live', () => sends.sockets > 0 && isLive(parley));
    const key = await conversation.send('once');
    await eventually('it is sent', () => parley.outbox.value.length === 0);
    // The event of the message can arrive before the first response is lost.
    await eventually('a response is lost', () => lost > 0);
    expect(await stored(ben, id)).toEqual(['once']);
    expect(conversation.value.rows.map((row) => row.key)).toEqual([key]);
  });

  it('keeps a rejected message with its error, and goes on with the next one', async () => {
    const { ben, id, conversation, parley } = await meet();
    const tooLong = await conversation.send('x'.repeat(100_000));
    await conversation.send('fits');
    await eventually('the other one is sent', async () => (await stored(ben, id)).includes('fits'));
    await eventually('one is left', () => parley.outbox.value.length === 1);
    expect(parley.outbox.value).toMatchObject([
      { clientMessageId: tooLong, error: { code: 'BAD_USER_INPUT', field: 'input.text', limit: 'messageMaxChars' } },
    ]);
    const row = () => conversation.value.rows.find(({ key }) => key === tooLong);
    expect(row()).toMatchObject({ status: 'failed' });
    const statuses = new Set<string | undefined>();
    conversation.subscribe(() => statuses.add(row()?.status));
    await parley.outbox.retry(tooLong);
    await eventually('it is sent again', () => statuses.has('sending') && row()?.status === 'failed');
    await parley.outbox.discard(tooLong);
    await eventually('it is gone', () => row() === undefined);
    expect(await stored(ben, id)).toEqual(['fits']);
  });

  it('waits as long as the server demands', { timeout: 60_000 }, async () => {
    const limited = await (await makePlace(mode)).start({ RATE_LIMITS: 'on', RATE_SEND_PER_PERSON: '2/2s' });
    const { ben, id, proxy, conversation, parley } = await meet(limited);
    const sends = watchSends();
    proxy.cut();
    await eventually('it is live', () => sends.sockets > 0 && isLive(parley));
    for (const text of ['1', '2', '3', '4']) await conversation.send(text);
    await eventually('all are sent', () => parley.outbox.value.length === 0);
    expect(await stored(ben, id)).toEqual(['1', '2', '3', '4']);
    expect(sends.sends).toBeGreaterThanOrEqual(4);
    expect(sends.sends).toBeLessThanOrEqual(8);
  });

  it('is emptied by the event of a message whose response was lost', async () => {
    const { ana, id } = await meet();
    const parley = openAlone({ url: node.url });
    const sends = watchSends(() => true);
    await parley.session.useTokens({ accessToken: ana.token, refreshToken: ana.refreshToken });
    await eventually('it is live', () => isLive(parley));
    await parley.conversation(id).send('Hello');
    await eventually('it is confirmed', () => parley.outbox.value.length === 0);
    expect(sends.sends).toBe(1);
  });
});
