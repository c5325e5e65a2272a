import { beforeAll, describe, expect, it } from 'vitest';
import { sessionWatch } from '../../src/domain/session/session.authentication.js';
import type { RunningNode } from '../../src/server/start.js';
import { eventually, type Json, type Person, register } from '../support/client.js';
import { inOneMode, modes, sharedNode } from '../support/place.js';
import { openSse } from '../support/sse.js';
import { MESSAGES, openDirect, send } from '../support/talk.js';

describe.each(modes)('subscriptions over SSE in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let alice: Person;
  let bob: Person;
  let conversation: string;

  beforeAll(async () => {
    node = await sharedNode(mode);
    [alice, bob] = await Promise.all([register(node.url, 'alice'), register(node.url, 'bob')]);
    conversation = await openDirect(alice, bob);
  });

  const isLive = ({ results }: { results: Json[] }) =>
    eventually('the stream is live', () => results.some(({ data }) => data?.messages.type === 'CAUGHT_UP'));

  it('deliver events to a client that sends its token as a header', async () => {
    const stream = await openSse(node.url, bob.token);
    expect(stream.response.status).toBe(200);
    expect(stream.response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    await isLive(stream);
    const first = await send(alice, conversation, 'one');
    const second = await send(alice, conversation, 'two\n\nlines');
    const received = () => stream.results.flatMap(({ data }) => (data.messages.message ? [data.messages.message] : []));
    await eventually('both messages are delivered', () => received().length === 2);
    expect(received()).toMatchObject([
      { id: first.id, text: 'one' },
      { id: second.id, text: 'two\n\nlines' },
    ]);
    stream.cancel();
  });

  itOnce('resume with a cursor', async () => {
    const before = await openSse(node.url, bob.token);
    await isLive(before);
    before.cancel();
    const missed = await send(alice, conversation, 'missed');
    const after = await openSse(node.url, bob.token, { after: before.results.at(-1).data.messages.cursor });
    await isLive(after);
    const events = after.results.map(({ data }) => data.messages);
    expect(events).toContainEqual(expect.objectContaining({ messageId: missed.id, replayed: true }));
    after.cancel();
  });

  itOnce('release all resources when the client disconnects', async () => {
    await eventually('no other stream is open', () => node.deps.feed.listeners === 0);
    const streams = await Promise.all([1, 2, 3].map(() => openSse(node.url, bob.token)));
    await Promise.all(streams.map(isLive));
    expect(node.deps.feed.listeners).toBe(3);
    for (const stream of streams) stream.cancel();
    await eventually('the listener is removed', () => node.deps.feed.listeners === 0);
  });

  itOnce('return an error without a token', async () => {
    const stream = await openSse(node.url, undefined);
    await eventually('the stream ends', () => stream.closed);
    expect(stream.results).toMatchObject([{ errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] }]);
    expect(stream.completed).toBe(true);
  });

  itOnce('end with the session', async () => {
    const carol = await register(node.url, 'carol');
    const stream = await openSse(node.url, carol.token);
    await isLive(stream);
    await carol.ask('mutation { logout { sessionId } }');
    await eventually('the stream ends', () => stream.closed);
    expect(stream.results.at(-1)).toMatchObject({ errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] });
    expect(stream.completed).toBe(true);
  });

  itOnce('release all resources if the client disconnects while the stream is being opened', async () => {
    const { feed } = node.deps;
    const sessions = sessionWatch.of(node.deps);
    for (let count = 0; count < 20; count += 1) {
      const abort = new AbortController();
      const asked = fetch(node.url, {
        method: 'POST',
        headers: {
          accept: 'text/event-stream',
          'content-type': 'application/json',
          authorization: `Bearer ${bob.token}`,
        },
        body: JSON.stringify({ query: MESSAGES }),
        signal: abort.signal,
      });
      setTimeout(() => abort.abort(), count / 2);
      await asked.catch(() => {});
    }
    await eventually(
      'all resources are released',
      () => feed.listeners === 0 && feed.conversations === 0 && sessions.size === 0,
    );
  });
});
