import { afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { encodeGlobalId, idOf, newId } from '../../src/core/ids.js';
import { presence } from '../../src/domain/presence/presence.js';
import { type PresenceEvent, streamPresence } from '../../src/domain/presence/presence.service.js';
import { presenceVisibilityLookup } from '../../src/domain/presence/presence.store.js';
import { nodeTime } from '../../src/platform/node-time.js';
import type { LiveStream } from '../../src/realtime/live-stream.js';
import type { RunningNode } from '../../src/server/start.js';
import { connect, eventually, listen, type Person, register } from '../support/client.js';
import { detailModes, makePlace } from '../support/place.js';
import { PRESENCE } from '../support/presence.js';
import { openSse } from '../support/sse.js';

const PAGE = 50;

describe.each(detailModes)('the initial events of presence streams in %s mode', (mode) => {
  let node: RunningNode;
  let alice: Person;
  let aliceId: string;
  let ids: string[];
  const streams: LiveStream<PresenceEvent>[] = [];
  /** Users whose visibility has been read, and how many were read at the same time. */
  let read = 0;
  let reading = 0;
  let readingMax = 0;

  beforeAll(async () => {
    node = await (await makePlace(mode)).start();
    alice = await register(node.url, 'alice');
    aliceId = idOf('User', alice.id, 'id');
    // Users whose state is not known yet have no initial event, so that more pages would be read for the first events.
    await eventually('presence is known', () => presence.of(node.deps).read([aliceId]) !== undefined);
    const lookUp = presenceVisibilityLookup.of(node.deps);
    node.deps.services.replace(presenceVisibilityLookup, async (sight) => {
      read += 1;
      reading += 1;
      readingMax = Math.max(readingMax, reading);
      try {
        return await lookUp(sight);
      } finally {
        reading -= 1;
      }
    });
  });
  beforeEach(async () => {
    [read, readingMax] = [0, 0];
    ids = Array.from({ length: 2 * PAGE + 20 }, () => newId());
    const { db } = node.deps.database;
    await db.user.createMany({
      data: ids.map((id) => ({ id, username: `u${id}`, usernameKey: `u${id}`, displayName: 'Watched' })),
    });
    await db.contact.createMany({
      data: ids.flatMap((id) => [
        { ownerId: aliceId, userId: id },
        { ownerId: id, userId: aliceId },
      ]),
    });
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    for (const stream of streams.splice(0)) await stream.return();
    await eventually('nobody is watched', () => presence.of(node.deps).size.watched === 0);
  });

  const open = async () => {
    const viewer = { userId: aliceId, sessionId: newId(), expiresAt: new Date(Date.now() + 60_000) };
    // A connection that ends with its session itself: there is no session behind this one.
    const stream = await streamPresence(node.deps, viewer, { renew() {} }, ids);
    streams.push(stream);
    return stream;
  };
  const take = async (stream: LiveStream<PresenceEvent>, count: number) => {
    const events: PresenceEvent[] = [];
    while (events.length < count) events.push((await stream.next()).value);
    return events.map(({ user }) => user);
  };

  it('are read page by page as the client takes them, in the order of the argument', async () => {
    const stream = await open();
    expect(read).toBe(PAGE);
    const first = await take(stream, PAGE);
    expect(read).toBe(PAGE);
    expect(stream.isIdle).toBe(false);
    const second = await take(stream, 1);
    expect(read).toBe(2 * PAGE);
    const rest = await take(stream, ids.length - PAGE - 1);
    expect(read).toBe(ids.length);
    expect(stream.isIdle).toBe(true);
    expect([...first, ...second, ...rest].map(({ id }) => id)).toEqual(ids);
  });

  it('are read for one stream of a user after another', async () => {
    const all = await Promise.all([open(), open(), open()]);
    await Promise.all(all.map((stream) => take(stream, ids.length)));
    expect(read).toBe(all.length * ids.length);
    presence.of(node.deps).visibilityChanged([aliceId]);
    await eventually('all are read again', () => read === 2 * all.length * ids.length);
    expect(readingMax).toBe(PAGE);
  });

  it('follow what the viewer may see while they are being read', async () => {
    const stream = await open();
    const [seen, unseen] = [ids[0], ids.at(-1)] as [string, string];
    await take(stream, 1);
    await node.deps.database.db.contact.deleteMany({ where: { userId: { in: [seen, unseen] } } });
    presence.of(node.deps).visibilityChanged([aliceId]);
    await eventually('those who were read are read again', () => read === 2 * PAGE);
    const events = await take(stream, ids.length);
    expect(events.filter(({ id }) => id === seen).map((user) => user.presence)).toEqual([null]);
    expect(events.filter(({ id }) => id === unseen).map((user) => user.presence)).toEqual([null]);
    expect(events.filter((user) => user.presence).length).toBe(ids.length - 2);
  });

  it('wait while their viewer has used too much of the time of the node', async () => {
    const time = nodeTime.of(node.deps);
    let pay = () => {};
    const paid = new Promise<void>((resolve) => {
      pay = resolve;
    });
    const stream = await open();
    await take(stream, PAGE);
    onTestFinished(pay);
    const waiting = vi.spyOn(time, 'whenWithinShare').mockReturnValue(paid);
    const received: string[] = [];
    void (async () => {
      for await (const { user } of stream) received.push(user.id);
    })();
    await eventually('it waits', () => waiting.mock.calls.length > 0);
    expect(waiting).toHaveBeenCalledWith(aliceId);
    // An event that hides a user from the viewer does not wait.
    presence.of(node.deps).visibilityChanged([aliceId]);
    await eventually('the update is read', () => read === 2 * PAGE);
    // A change does not wait either.
    const [changed, initial] = [ids[0], ids.at(-1)] as [string, string];
    presence.of(node.deps).personChanged(changed);
    await eventually('the change is received', () => received.includes(changed));
    expect(received).not.toContain(initial);
    pay();
    await eventually('the other initial events are received', () => received.includes(initial));
    expect(read).toBe(PAGE + ids.length);
  });

  it.each(['WebSocket', 'SSE'])('are charged to their viewer, later events are not (%s)', async (transport) => {
    const spend = vi.spyOn(nodeTime.of(node.deps), 'spend');
    const variables = { userIds: ids.map((id) => encodeGlobalId('User', id)) };
    if (transport === 'WebSocket') {
      const client = connect(node.url, alice.token);
      const { events } = listen(client, PRESENCE, variables, 'presence');
      await check(() => events.length).finally(() => client.dispose());
    } else {
      const stream = await openSse(node.url, alice.token, variables, undefined, PRESENCE);
      await check(() => stream.results.length).finally(() => stream.cancel());
    }

    async function check(received: () => number): Promise<void> {
      await eventually('all events are received', () => received() >= ids.length);
      const pages = Math.ceil(ids.length / PAGE);
      await eventually('all are charged', () => spend.mock.calls.length >= ids.length + pages);
      expect(spend.mock.calls.every(([key, ms]) => key === aliceId && ms >= 0)).toBe(true);
      expect(spend.mock.calls.reduce((sum, [, ms]) => sum + ms, 0)).toBeGreaterThan(0);
      const [before, charged] = [received(), spend.mock.calls.length];
      presence.of(node.deps).personChanged(ids.at(-1) as string);
      await eventually('a later event is received', () => received() > before);
      expect(spend.mock.calls.length).toBe(charged);
    }
  });
});
