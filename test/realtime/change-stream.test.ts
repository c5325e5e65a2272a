import { once } from 'node:events';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { decodeSyncCursor, encodeSyncCursor } from '../../src/core/sync-cursor.js';
import { streamMessages } from '../../src/domain/message/message.service.js';
import { trimChangeLog } from '../../src/realtime/change-log.js';
import type { RunningNode } from '../../src/server/start.js';
import { connect, eventually, type Json, type Listening, listen, type Person, register } from '../support/client.js';
import { footings, makePlace, type Place } from '../support/place.js';
import { createGroup, edit, MESSAGES, openDirect, send } from '../support/talk.js';

const clients: { dispose(): unknown }[] = [];
afterAll(async () => {
  await Promise.all(clients.map((client) => client.dispose()));
});

/** Messages as long as they may be, so that few of them fill what lies between a server and who does not read. */
const LONG = 'x'.repeat(99_000);

describe.each(footings)('a durable stream on the %s footing', (footing) => {
  let place: Place;
  let node: RunningNode;
  let alice: Person;
  let bob: Person;
  let group: string;

  beforeAll(async () => {
    place = await makePlace(footing);
    node = await place.start({ STREAM_QUEUE_MAX: '5', REPLAY_MAX: '40' });
    [alice, bob] = [await register(node.url, 'alice'), await register(node.url, 'bob')];
    group = await createGroup(alice, [bob]);
  });

  /** Listens as bob on a socket of its own. */
  function subscribe(variables: Json = {}): Listening {
    const client = connect(node.url, bob.token);
    clients.push(client);
    return listen(client, MESSAGES, variables);
  }

  async function live(variables: Json = {}): Promise<Listening> {
    const stream = subscribe(variables);
    await stream.until(({ type }) => type === 'CAUGHT_UP');
    return stream;
  }

  /** A cursor that has seen all that was done before: the node's own may be as old as its last sweep. */
  const syncCursor = async (): Promise<string> => {
    await node.deps.feed.sweep();
    return (await bob.ask('{ viewer { syncCursor } }')).viewer.syncCursor;
  };
  const texts = ({ events }: Listening) => events.flatMap(({ message }) => message?.text ?? []);
  const say = async (...words: string[]) => {
    for (const word of words) await send(alice, group, word);
  };
  const numbered = (word: string, count: number) => Array.from({ length: count }, (_, index) => `${word} ${index}`);

  const expired = async (after: string) => {
    const errors = await subscribe({ after }).ended;
    expect(errors).toMatchObject([{ extensions: { code: 'CURSOR_EXPIRED', field: 'after' } }]);
  };

  it('gives a cursor within two seconds of the last event, which has seen that and nothing later', async () => {
    const stream = await live();
    for (const word of ['first', 'second']) {
      await say(word);
      await stream.until(({ message }) => message?.text === word);
      const came = Date.now();
      const { length } = stream.events;
      await eventually('a checkpoint comes', () => stream.events.length > length);
      expect(Date.now() - came).toBeLessThan(2_500);
      expect(stream.events.at(-1)).toMatchObject({
        type: 'CHECKPOINT',
        changeSeq: null,
        messageId: null,
        message: null,
      });
    }
    // Nothing happens: no other comes for a while.
    const { length } = stream.events;
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect(stream.events).toHaveLength(length);
    const { cursor } = stream.events.at(-1);
    expect((await live({ after: cursor })).events).toHaveLength(1);
    await say('third', 'fourth');
    expect(texts(await live({ after: cursor }))).toEqual(['third', 'fourth']);
  });

  it('gives a fresh cursor every 30 seconds while nothing happens', async () => {
    const idle = await (await makePlace(footing)).start({ SWEEP_INTERVAL: '1h' });
    const carol = await register(idle.url, 'carol');
    const client = connect(idle.url, carol.token);
    clients.push(client);
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      const stream = listen(client, MESSAGES);
      await stream.until(({ type }) => type === 'CAUGHT_UP');
      for (const checkpoints of [1, 2]) {
        // Seen at the sweep; a second stream, begun after it, tells that the first one had nothing to tell.
        vi.setSystemTime(Date.now() + 29_000);
        await idle.deps.feed.sweep();
        const later = listen(client, MESSAGES);
        await later.until(({ type }) => type === 'CAUGHT_UP');
        later.cancel();
        expect(stream.events).toHaveLength(checkpoints);
        vi.setSystemTime(Date.now() + 1_000);
        await idle.deps.feed.sweep();
        await stream.until(() => stream.events.length > checkpoints);
        expect(stream.events.slice(checkpoints)).toMatchObject([
          { type: 'CHECKPOINT', cursor: idle.deps.feed.now.cursor, changeSeq: null },
        ]);
      }
    } finally {
      vi.useRealTimers();
    }
  });

  it('brings more than its queue holds, each once and as it is now', async () => {
    const after = await syncCursor();
    const sent = await send(alice, group, 'to be edited');
    const words = numbered('missed', 20);
    await say(...words);
    await edit(alice, sent.id, 'edited');
    const stream = await live({ after });
    expect(texts(stream)).toEqual([...words, 'edited']);
    expect(stream.events.map(({ replayed }) => replayed)).toEqual([...Array(21).fill(true), false]);
    const seqs = stream.events.flatMap(({ changeSeq }) => changeSeq ?? []);
    expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
  });

  it('loses nothing when more happens during a replay than its queue holds', async () => {
    const after = await syncCursor();
    await say(...numbered('before', 3));
    // Not over a socket, so that it is read only as fast as this test says.
    const { userId } = await viewerOf(node, bob);
    const viewer = { userId, sessionId: 'none', expiresAt: new Date(Date.now() + 60_000) };
    const stream = await streamMessages(node.deps, viewer, { renew() {} }, { conversationId: null, after });
    const events: { type: string; text?: string | null; replayed: boolean }[] = [];
    const read = async () => {
      const { value, done } = await stream.next();
      if (done) throw new Error('the stream has ended');
      events.push({
        type: value.type,
        replayed: value.replayed,
        ...('change' in value && { text: value.change.data.message?.text ?? null }),
      });
    };
    await read();
    await say(...numbered('meanwhile', 12));
    while (events.at(-1)?.type !== 'CAUGHT_UP') await read();
    await say('after');
    await read();
    await stream.return?.();
    expect(events.flatMap(({ text }) => text ?? [])).toEqual([
      ...numbered('before', 3),
      ...numbered('meanwhile', 12),
      'after',
    ]);
    expect(events.filter(({ type }) => type === 'CAUGHT_UP')).toHaveLength(1);
    expect(events.at(-1)?.replayed).toBe(false);
  });

  it('says CURSOR_EXPIRED when more was missed than it brings', async () => {
    const after = await syncCursor();
    await say(...numbered('many', 40));
    expect(texts(await live({ after }))).toHaveLength(40);
    await say('one too many');
    await expired(after);
  });

  it('says CURSOR_EXPIRED when the log does not reach back so far, and not to who has seen all that is gone', async () => {
    const before = await syncCursor();
    await say('soon forgotten');
    // Transactions of other tests in the same cluster may still be older.
    await eventually('it is gone', async () => {
      await trimChangeLog(node.deps.database.db, 0);
      return (await node.deps.database.db.change.count()) === 0;
    });
    await expired(before);
    const after = await syncCursor();
    await say('kept');
    expect(texts(await live({ after }))).toEqual(['kept']);
  });

  it('gives a cursor that has seen what it replayed, though nothing happens after', async () => {
    const after = await syncCursor();
    await say('missed');
    const stream = await live({ after });
    const caughtUp = stream.events.length;
    await stream.until(({ type }) => type === 'CHECKPOINT');
    expect(stream.events.slice(caughtUp).map(({ type }) => type)).toEqual(['CHECKPOINT']);
    expect(texts(await live({ after: stream.events.at(-1).cursor }))).toEqual([]);
  });

  it.skipIf(footing === 'embedded')('trims nothing that a cursor of now could need', async () => {
    const holder = new pg.Client({ connectionString: place.env['DATABASE_URL'] });
    await holder.connect();
    try {
      await holder.query('BEGIN; SELECT pg_current_xact_id()');
      await say('young');
      await trimChangeLog(node.deps.database.db, 0);
      const after = await syncCursor();
      await say('younger');
      await trimChangeLog(node.deps.database.db, 0);
      expect(texts(await live({ after }))).toEqual(['younger']);
    } finally {
      await holder.end();
    }
  });

  it('says CURSOR_EXPIRED to a cursor of the future, and of another epoch or database', async () => {
    const { generation } = node.deps.database;
    const cursor = decodeSyncCursor(await syncCursor(), 'after', generation);
    const [xmin = '', xmax = ''] = cursor.snapshot.split(':');
    const later = `${BigInt(xmin) + 1_000n}:${BigInt(xmax) + 1_000n}:`;
    await expired(encodeSyncCursor({ ...cursor, snapshot: later }));
    await expired(encodeSyncCursor({ ...cursor, epoch: 'ffffffff' }));
    await expired(encodeSyncCursor({ ...cursor, generation: '0'.repeat(12) }));
  });

  it('cuts off who does not read, with a code after which clients come back and miss nothing', async () => {
    const other = await makePlace(footing);
    const slow = await other.start({ STREAM_QUEUE_MAX: '5', MESSAGE_MAX_CHARS: '100000' });
    const [carol, dan] = [await register(slow.url, 'carol'), await register(slow.url, 'dan')];
    const chat = await openDirect(carol, dan);
    const socket = new WebSocket(slow.url.replace(/^http/, 'ws'), 'graphql-transport-ws');
    const events: Json[] = [];
    socket.on('message', (data) => {
      const { type, payload } = JSON.parse(String(data));
      if (type === 'next' && payload.data) events.push(payload.data.messages);
    });
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: dan.token } }));
    await once(socket, 'message');
    socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: MESSAGES } }));
    await eventually('it is live', () => events.length === 1);
    socket.pause();
    let count = 0;
    const cutOff = () => slow.deps.feed.listeners === 0;
    while (!cutOff() && count < 1_000) {
      await Promise.all(Array.from({ length: 10 }, () => send(carol, chat, `${LONG} ${count++}`)));
    }
    expect(cutOff()).toBe(true);
    const closed = once(socket, 'close');
    socket.resume();
    expect((await closed)[0]).toBe(1013);
    const client = connect(slow.url, dan.token);
    clients.push(client);
    const again = listen(client, MESSAGES, { after: events.at(-1).cursor });
    await again.until(({ type }) => type === 'CAUGHT_UP');
    const seqs = [...events, ...again.events].flatMap(({ changeSeq }) => changeSeq ?? []);
    expect([...new Set(seqs)]).toEqual(Array.from({ length: count }, (_, index) => index + 2));
  });
});

async function viewerOf(node: RunningNode, { username }: Person): Promise<{ userId: string }> {
  const user = await node.deps.database.db.user.findFirstOrThrow({ where: { username } });
  return { userId: user.id };
}
