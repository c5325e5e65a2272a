import { once } from 'node:events';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { WebSocket } from 'ws';
import { decodeSyncCursor, encodeSyncCursor } from '../../src/core/sync-cursor.js';
import { streamMessages } from '../../src/domain/message/message.service.js';
import { trimChangeLog } from '../../src/realtime/change-log.js';
import type { RunningNode } from '../../src/server/start.js';
import {
  connect,
  durationOf,
  eventually,
  type Json,
  type Listening,
  listen,
  type Person,
  register,
  smallest,
} from '../support/client.js';
import { inOneMode, makePlace, modes, type Place } from '../support/place.js';
import { createGroup, edit, MESSAGES, openDirect, send } from '../support/talk.js';

const clients: { dispose(): unknown }[] = [];
afterAll(async () => {
  await Promise.all(clients.map((client) => client.dispose()));
});

/** Messages of the maximum length, so that few of them fill the buffers between the server and a slow consumer. */
const LONG = 'x'.repeat(99_000);

describe.each(modes)('a durable stream in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let place: Place;
  let node: RunningNode;
  let alice: Person;
  let bob: Person;
  let group: string;

  beforeAll(async () => {
    place = await makePlace(mode);
    node = await place.start({ STREAM_QUEUE_MAX: '5', REPLAY_MAX: '40' });
    [alice, bob] = [await register(node.url, 'alice'), await register(node.url, 'bob')];
    group = await createGroup(alice, [bob]);
  });

  /** Subscribes as bob on a new socket. */
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

  /** A cursor that contains everything so far. The node's own cursor can be as old as its last sweep. */
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

  itOnce(
    'sends a CHECKPOINT within two seconds of the last event, whose cursor contains that event and nothing later',
    async () => {
      const stream = await live();
      for (const word of ['first', 'second']) {
        let round = 0;
        const checkpoint = async () => {
          round += 1;
          const said = `${word} ${round}`;
          await say(said);
          await stream.until(({ message }) => message?.text === said);
          const { length } = stream.events;
          const ms = await durationOf(() => eventually('a checkpoint comes', () => stream.events.length > length));
          expect(stream.events.at(-1)).toMatchObject({
            type: 'CHECKPOINT',
            changeSeq: null,
            messageId: null,
            message: null,
          });
          return ms;
        };
        expect(await smallest(2_000, checkpoint)).toBeLessThan(2_000);
      }
      // Without further events, the next sweeps cause no other CHECKPOINT. The start of a second stream shows that the first
      // one had nothing to deliver.
      const { length } = stream.events;
      for (let count = 0; count < 3; count += 1) await node.deps.feed.sweep();
      await live();
      expect(stream.events).toHaveLength(length);
      const { cursor } = stream.events.at(-1);
      expect((await live({ after: cursor })).events).toHaveLength(1);
      await say('third', 'fourth');
      expect(texts(await live({ after: cursor }))).toEqual(['third', 'fourth']);
    },
  );

  itOnce('sends a CHECKPOINT every 30 seconds while nothing happens', async () => {
    const idle = await (await makePlace(mode)).start({ SWEEP_INTERVAL: '1h' });
    const carol = await register(idle.url, 'carol');
    const client = connect(idle.url, carol.token);
    clients.push(client);
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      const stream = listen(client, MESSAGES);
      await stream.until(({ type }) => type === 'CAUGHT_UP');
      for (const checkpoints of [1, 2]) {
        // A second stream that starts after the sweep shows that the first one had nothing to deliver.
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

  it('replays more changes than its queue can contain, each once and in its present state', async () => {
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

  itOnce('loses nothing if its queue overflows during a replay', async () => {
    const after = await syncCursor();
    await say(...numbered('before', 3));
    // Not over a socket, so that the test controls how fast the stream is read.
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

  itOnce(
    'leaves nothing behind when the database fails during a replay: later replays are not kept waiting',
    async () => {
      const { feed } = node.deps;
      const after = await syncCursor();
      await say('before the failure');
      const { listeners } = feed;
      const missed = vi.spyOn(feed, 'missed').mockImplementation(async () =>
        (async function* () {
          yield Promise.reject(new Error('the database does not answer'));
        })(),
      );
      // More than the replays that a user may run at a time.
      for (let count = 0; count < 3; count += 1) {
        expect(await subscribe({ after }).ended).toMatchObject([{ extensions: { code: 'INTERNAL_SERVER_ERROR' } }]);
      }
      missed.mockRestore();
      await eventually('their listeners are removed', () => feed.listeners === listeners);
      expect(texts(await live({ after }))).toEqual(['before the failure']);
    },
  );

  itOnce('fails with CURSOR_EXPIRED if more than REPLAY_MAX changes were missed', async () => {
    const after = await syncCursor();
    await say(...numbered('many', 40));
    expect(texts(await live({ after }))).toHaveLength(40);
    await say('one too many');
    await expired(after);
  });

  it('fails with CURSOR_EXPIRED if missed changes have been trimmed, but not if only received ones have', async () => {
    const before = await syncCursor();
    await say('soon forgotten');
    // Older transactions of other tests in the same cluster may delay this.
    await eventually('the change is trimmed', async () => {
      await trimChangeLog(node.deps.database.db, 0);
      return (await node.deps.database.db.change.count()) === 0;
    });
    await expired(before);
    const after = await syncCursor();
    await say('kept');
    expect(texts(await live({ after }))).toEqual(['kept']);
  });

  itOnce('sends a CHECKPOINT that covers a replay, even if nothing happens afterwards', async () => {
    const after = await syncCursor();
    await say('missed');
    const stream = await live({ after });
    const caughtUp = stream.events.length;
    await stream.until(({ type }) => type === 'CHECKPOINT');
    expect(stream.events.slice(caughtUp).map(({ type }) => type)).toEqual(['CHECKPOINT']);
    expect(texts(await live({ after: stream.events.at(-1).cursor }))).toEqual([]);
  });

  it.skipIf(mode === 'embedded')(
    'keeps changes that a present cursor does not contain when the log is trimmed',
    async () => {
      const holder = new pg.Client({ connectionString: place.env['DATABASE_URL'] });
      await holder.connect();
      try {
        await holder.query('BEGIN');
        const { rows } = await holder.query('SELECT pg_current_xact_id()::text AS xid');
        await say('young');
        await trimChangeLog(node.deps.database.db, 0);
        // Earlier transactions, also of other databases, can be in progress for a while. What a cursor does not contain
        // because of them may have been trimmed.
        let after = '';
        await eventually('the cursor contains all earlier transactions', async () => {
          after = await syncCursor();
          const [xmin = ''] = decodeSyncCursor(after, 'after', node.deps.database.generation).snapshot.split(':');
          return BigInt(xmin) >= BigInt(rows[0].xid);
        });
        await say('younger');
        await trimChangeLog(node.deps.database.db, 0);
        expect(texts(await live({ after }))).toEqual(['younger']);
      } finally {
        await holder.end();
      }
    },
  );

  it('fails with CURSOR_EXPIRED for a cursor of the future, of another epoch or of another database', async () => {
    const { generation } = node.deps.database;
    const cursor = decodeSyncCursor(await syncCursor(), 'after', generation);
    const [xmin = '', xmax = ''] = cursor.snapshot.split(':');
    const later = `${BigInt(xmin) + 1_000n}:${BigInt(xmax) + 1_000n}:`;
    await expired(encodeSyncCursor({ ...cursor, snapshot: later }));
    await expired(encodeSyncCursor({ ...cursor, epoch: 'ffffffff' }));
    await expired(encodeSyncCursor({ ...cursor, generation: '0'.repeat(12) }));
  });

  itOnce('closes the socket of a slow consumer with 1013, after which clients resume and miss nothing', async () => {
    const other = await makePlace(mode);
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
    await eventually('the stream is live', () => events.length === 1);
    socket.pause();
    let count = 0;
    const closed = once(socket, 'close');
    const isDisconnected = () => slow.deps.feed.listeners === 0;
    // The server terminates the connection two seconds after it has sent the close frame, so it must be read by then.
    const look = setInterval(() => isDisconnected() && socket.resume(), 10);
    onTestFinished(() => clearInterval(look));
    while (!isDisconnected() && count < 1_000) {
      await Promise.all(Array.from({ length: 4 }, () => send(carol, chat, `${LONG} ${count++}`)));
    }
    expect(isDisconnected()).toBe(true);
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
