import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type Audience,
  createAudience,
  createSubscribers,
  effectsOf,
  type Listener,
  type Subscribers,
} from '../../src/realtime/audience.js';
import type { Change, ChangeKind, ChangeRow } from '../../src/realtime/change.js';
import { GAP_WAIT_MS, type Lane, type LaneHost, Lanes, READ_BATCH } from '../../src/realtime/lane.js';
import { stopShared } from '../support/shared.js';

beforeAll(stopShared);

const LOG = 'conversation';

const changeOf = (changeSeq: number, change: Partial<Change> = {}): Change => ({
  conversationId: LOG,
  changeSeq,
  type: 'MESSAGE',
  messageId: null,
  subjectId: null,
  actorId: null,
  data: { seq: changeSeq },
  ...change,
});

/** A change log in memory, and lanes that read it. */
class Log implements LaneHost<Subscribers> {
  readonly changes: Change[] = [];
  readonly lanes = new Lanes<Subscribers>(this, createSubscribers);
  /** The numbers of the delivered changes. */
  readonly delivered: number[] = [];
  /** Where each read began. */
  readonly reads: number[] = [];
  readonly loaded: number[] = [];
  readonly gaps: number[] = [];
  readonly failures: unknown[] = [];
  positionReads = 0;
  /** If set, reads wait for it and fail when it rejects. */
  blocked: Promise<void> | undefined;

  commit(...changes: Change[]): void {
    this.changes.push(...changes);
  }

  async findPositions(lanes: readonly Lane<Subscribers>[]): Promise<Map<string, number>> {
    this.positionReads += 1;
    const positions = new Map(lanes.map(({ id }) => [id, this.#after(id, 0).at(-1)?.changeSeq ?? 0]));
    await this.blocked;
    return positions;
  }

  async readAfter(id: string, position: number, limit: number): Promise<ChangeRow[]> {
    this.reads.push(position);
    const rows = this.#after(id, position).slice(0, limit);
    await this.blocked;
    return rows;
  }

  async readAfterEach(lanes: readonly { id: string; position: number }[], limit: number): Promise<ChangeRow[]> {
    this.reads.push(...lanes.map(({ position }) => position));
    return lanes.flatMap(({ id, position }) => this.#after(id, position)).slice(0, limit);
  }

  async load(rows: readonly ChangeRow[], arrived: (row: ChangeRow) => Change | undefined): Promise<Change[]> {
    return rows.map((row) => {
      const known = arrived(row);
      if (!known) this.loaded.push(row.changeSeq);
      return known ?? (this.#after(row.conversationId, row.changeSeq - 1)[0] as Change);
    });
  }

  deliver(_lane: Lane<Subscribers>, change: Change): void {
    this.delivered.push(change.changeSeq);
  }

  onGapFilled = (count: number) => void this.gaps.push(count);
  onReadFailed = (error: unknown) => void this.failures.push(error);

  #after = (id: string, position: number) =>
    this.changes.filter((change) => change.conversationId === id && change.changeSeq > position);
}

/** A promise that is settled by the test. */
function gate() {
  let open: () => void = () => {};
  let fail: (error: Error) => void = () => {};
  const promise = new Promise<void>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  promise.catch(() => {});
  return { promise, open: () => open(), fail: (error: Error) => fail(error) };
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const gapTimeout = () => vi.advanceTimersByTimeAsync(GAP_WAIT_MS);

describe('Lane', () => {
  function openLane(position = 0) {
    const log = new Log();
    const lane = log.lanes.open(LOG);
    lane.startAfter(position);
    return { log, lane };
  }

  it('delivers changes in order, whatever the order in which they arrive, without reading the log', async () => {
    const { log, lane } = openLane();
    for (const changeSeq of [3, 1, 5, 2, 4]) lane.offer(changeOf(changeSeq));
    await vi.advanceTimersByTimeAsync(10 * GAP_WAIT_MS);
    expect(log.delivered).toEqual([1, 2, 3, 4, 5]);
    expect(lane.position).toBe(5);
    expect(log.gaps).toEqual([]);
  });

  it('delivers nothing after a gap until the gap is filled', async () => {
    const { log, lane } = openLane();
    log.commit(...range(1, 3).map((changeSeq) => changeOf(changeSeq)));
    lane.offer(changeOf(1));
    lane.offer(changeOf(3));
    await vi.advanceTimersByTimeAsync(GAP_WAIT_MS - 1);
    expect(log.delivered).toEqual([1]);
    expect(log.reads).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(log.delivered).toEqual([1, 2, 3]);
  });

  it('reads a gap once, however many later changes arrive', async () => {
    const { log, lane } = openLane();
    log.commit(...range(1, 6).map((changeSeq) => changeOf(changeSeq)));
    const read = gate();
    log.blocked = read.promise;
    for (const changeSeq of [2, 4, 5]) lane.offer(changeOf(changeSeq));
    await gapTimeout();
    lane.offer(changeOf(6));
    await gapTimeout();
    read.open();
    await lane.filling;
    await gapTimeout();
    expect(log.delivered).toEqual([1, 2, 3, 4, 5, 6]);
    expect(log.reads).toEqual([0]);
    expect(log.gaps).toEqual([2]);
    expect(log.loaded, 'changes that have arrived are not loaded again').toEqual([1, 3]);
  });

  it('drops repeated changes, delivered or waiting', async () => {
    const { log, lane } = openLane(7);
    expect(lane.offer(changeOf(7))).toBe(false);
    expect(lane.offer(changeOf(8))).toBe(true);
    expect(lane.offer(changeOf(8))).toBe(false);
    lane.offer(changeOf(10));
    lane.offer(changeOf(10));
    lane.offer(changeOf(9));
    await gapTimeout();
    expect(log.delivered).toEqual([8, 9, 10]);
  });

  it('delivers a change once that arrives while it is being read', async () => {
    const { log, lane } = openLane();
    log.commit(...range(1, 3).map((changeSeq) => changeOf(changeSeq)));
    const read = gate();
    log.blocked = read.promise;
    const filling = [lane.fill(), lane.fill()];
    for (const changeSeq of [1, 2, 3]) lane.offer(changeOf(changeSeq));
    expect(log.delivered).toEqual([]);
    read.open();
    await Promise.all(filling);
    await gapTimeout();
    expect(log.delivered).toEqual([1, 2, 3]);
    expect(log.reads).toEqual([0]);
  });

  it('delivers what was committed after the read began', async () => {
    const { log, lane } = openLane();
    log.commit(changeOf(1));
    const read = gate();
    log.blocked = read.promise;
    const filling = lane.fill();
    log.commit(changeOf(2));
    lane.offer(changeOf(2));
    read.open();
    await filling;
    expect(log.delivered).toEqual([1, 2]);
  });

  it('reads on until the end of the log', async () => {
    const { log, lane } = openLane();
    log.commit(...range(1, 2 * READ_BATCH + 1).map((changeSeq) => changeOf(changeSeq)));
    await lane.fill();
    expect(log.delivered).toEqual(range(1, 2 * READ_BATCH + 1));
    expect(log.reads).toEqual([0, READ_BATCH, 2 * READ_BATCH]);
  });

  it('reports a failed read, keeps the gap closed, and does not try again by itself', async () => {
    const { log, lane } = openLane();
    log.commit(changeOf(1), changeOf(2));
    const read = gate();
    read.fail(new Error('no connection'));
    log.blocked = read.promise;
    lane.offer(changeOf(2));
    await vi.advanceTimersByTimeAsync(10 * GAP_WAIT_MS);
    expect(log.failures).toEqual([new Error('no connection')]);
    expect(log.reads).toEqual([0]);
    expect(log.delivered).toEqual([]);
    log.blocked = undefined;
    await lane.fill();
    expect(log.delivered).toEqual([1, 2]);
  });

  it('delivers nothing and reads nothing more once it is closed', async () => {
    const { log, lane } = openLane();
    log.commit(changeOf(1), changeOf(2));
    const read = gate();
    log.blocked = read.promise;
    lane.offer(changeOf(2));
    await gapTimeout();
    log.lanes.close(lane);
    read.open();
    await lane.filling;
    expect(log.delivered).toEqual([]);
    expect(log.lanes.get(LOG)).toBeUndefined();
    await lane.fill();
    expect(log.reads).toEqual([0]);
  });
});

describe('Lanes', () => {
  it('start after the changes that exist, and deliver those that arrive while the position is looked up', async () => {
    const log = new Log();
    log.commit(changeOf(1), changeOf(2));
    const lane = log.lanes.open(LOG);
    const read = gate();
    log.blocked = read.promise;
    const placed = log.lanes.place([lane]);
    for (const changeSeq of [2, 3]) lane.offer(changeOf(changeSeq));
    await gapTimeout();
    expect(log.delivered).toEqual([]);
    read.open();
    await placed;
    await gapTimeout();
    expect(log.delivered).toEqual([3]);
    expect(log.reads, 'change 2 does not count as waiting behind a gap').toEqual([]);
  });

  it('look up the positions of many lanes in one read, and of one lane once', async () => {
    const log = new Log();
    const lanes = ['a', 'b', 'c'].map((id) => log.lanes.open(id));
    await Promise.all([log.lanes.place(lanes), log.lanes.place(lanes.slice(1))]);
    await log.lanes.place(lanes);
    expect(log.positionReads).toBe(1);
    expect(lanes.map(({ position }) => position)).toEqual([0, 0, 0]);
  });

  it('can be placed again after the lookup failed', async () => {
    const log = new Log();
    log.commit(changeOf(1));
    const lane = log.lanes.open(LOG);
    const read = gate();
    read.fail(new Error('no connection'));
    log.blocked = read.promise;
    await expect(log.lanes.place([lane])).rejects.toThrow('no connection');
    expect(lane.position).toBeUndefined();
    log.blocked = undefined;
    await log.lanes.place([lane]);
    expect(lane.position).toBe(1);
  });

  it('are filled together, each in its own order', async () => {
    const log = new Log();
    const ids = ['a', 'b'];
    for (const id of ids) log.commit(...range(1, READ_BATCH).map((seq) => changeOf(seq, { conversationId: id })));
    const lanes = ids.map((id) => log.lanes.open(id));
    for (const lane of lanes) lane.startAfter(0);
    vi.useRealTimers();
    await log.lanes.fill(lanes);
    expect(lanes.map(({ position }) => position)).toEqual([READ_BATCH, READ_BATCH]);
    expect(log.delivered).toEqual([...range(1, READ_BATCH), ...range(1, READ_BATCH)]);
  });
});

describe('Audience', () => {
  const kinds = new Map<string, ChangeKind>(
    Object.entries({
      MESSAGE: { messageSeq: ({ data }: Change) => (data as { seq: number }).seq },
      JOINED: {
        joined: ({ subjectId }: Change) => [subjectId],
        historyFloor: ({ data }: Change) => (data as { floor: number }).floor,
      },
      LEFT: { left: ({ subjectId }: Change) => [subjectId] },
    }).map(([type, kind]) => [type, kind as unknown as ChangeKind]),
  );
  const joined = (changeSeq: number, userId: string, floor = 0) =>
    changeOf(changeSeq, { type: 'JOINED', subjectId: userId, data: { floor } });
  const left = (changeSeq: number, userId: string) =>
    changeOf(changeSeq, { type: 'LEFT', subjectId: userId, data: {} });

  /** Lanes that deliver to an audience; `floors` are the stored memberships. */
  class Room extends Log {
    readonly floors = new Map<string, number>();
    /** The newest change of the log when a membership is looked up. */
    readAt = 0;
    /** If set, lookups of memberships wait for it. */
    lookup: Promise<void> | undefined;
    readonly audience: Audience = createAudience({
      lanes: this.lanes,
      effects: effectsOf(kinds),
      typesOutsideLog: new Set(['TYPING']),
      findJoinedConversations: async (userId) => {
        await this.lookup;
        const floor = this.floors.get(userId);
        return floor === undefined ? [] : [{ conversationId: LOG, hiddenToSeq: floor, changeSeq: this.readAt }];
      },
      findAccess: async ({ userId }) => {
        await this.lookup;
        return { hiddenToSeq: this.floors.get(userId) ?? null, changeSeq: this.readAt };
      },
      readAfter: (id, position, limit) => this.readAfter(id, position, limit) as Promise<Change[]>,
      cursor: () => 'cursor',
      log: { error: (details: object) => this.failures.push(details) } as never,
    });

    override deliver(lane: Lane<Subscribers>, change: Change): void {
      super.deliver(lane, change);
      this.audience.deliver(lane, change);
    }

    offer(...changes: Change[]): void {
      for (const change of changes) this.lanes.get(LOG)?.offer(change);
    }
  }

  /** A listener that records the numbers of the changes that it receives, and that it was removed. */
  function listen(userId: string, conversationId: string | null, types = ['MESSAGE', 'JOINED', 'LEFT']) {
    const received: (number | 'removed')[] = [];
    const listener: Listener = {
      userId,
      conversationId,
      types,
      onChange: ({ change }) => void received.push(change.changeSeq),
      onProgress() {},
      onRemoved: () => void received.push('removed'),
      onLost() {},
      onEnd() {},
    };
    return { listener, received };
  }

  async function enter(room: Room, ...args: Parameters<typeof listen>) {
    const { listener, received } = listen(...args);
    await room.audience.add(listener);
    return { listener, received };
  }

  it.each([LOG, null])('hides messages up to the history floor of a member (listening to %s)', async (id) => {
    const room = new Room();
    room.floors.set('ann', 0).set('bob', 2);
    const ann = await enter(room, 'ann', id);
    const bob = await enter(room, 'bob', id);
    room.offer(changeOf(1), changeOf(2), joined(3, 'eve'), changeOf(4, { data: { seq: 3 } }));
    expect(ann.received).toEqual([1, 2, 3, 4]);
    expect(bob.received).toEqual([3, 4]);
  });

  it('decides what a member may see by the change with which they joined', async () => {
    const room = new Room();
    const bob = await enter(room, 'bob', null);
    const lane = room.lanes.open(LOG);
    lane.startAfter(0);
    room.offer(changeOf(1), joined(2, 'bob', 1), changeOf(3, { data: { seq: 1 } }), changeOf(4, { data: { seq: 2 } }));
    expect(bob.received).toEqual([2, 4]);
  });

  it('shows nothing to a listener who is not a member until they join', async () => {
    const room = new Room();
    const bob = await enter(room, 'bob', LOG);
    room.offer(changeOf(1), joined(2, 'bob'), changeOf(3));
    expect(bob.received).toEqual([2, 3]);
  });

  it('holds changes back until the history floor is known', async () => {
    const room = new Room();
    room.floors.set('bob', 1);
    const lookup = gate();
    room.lookup = lookup.promise;
    const { listener, received } = listen('bob', LOG);
    const added = room.audience.add(listener);
    await vi.advanceTimersByTimeAsync(0);
    room.offer(changeOf(1), changeOf(2));
    expect(room.delivered).toEqual([1, 2]);
    expect(received).toEqual([]);
    lookup.open();
    await added;
    expect(received).toEqual([2]);
  });

  it('delivers to a member who leaves the change by which they leave, and nothing after it', async () => {
    const room = new Room();
    room.floors.set('ann', 0).set('bob', 0);
    const ann = await enter(room, 'ann', LOG);
    const bob = await enter(room, 'bob', LOG);
    const all = await enter(room, 'bob', null);
    room.offer(changeOf(1), left(2, 'bob'));
    room.audience.remove(bob.listener);
    room.offer(changeOf(3));
    expect(bob.received).toEqual([1, 2, 'removed']);
    expect(all.received).toEqual([1, 2]);
    expect(ann.received).toEqual([1, 2, 3]);
  });

  it('keeps a listener whose user had joined again before it was added, on a lane that lags behind', async () => {
    const room = new Room();
    room.floors.set('bob', 2);
    room.readAt = 4;
    const bob = await enter(room, 'bob', LOG);
    room.offer(changeOf(1), left(2, 'bob'), changeOf(3, { data: { seq: 2 } }));
    expect(bob.received, 'both messages are hidden').toEqual([2]);
    room.offer(joined(4, 'bob', 2), changeOf(5, { data: { seq: 3 } }), left(6, 'bob'));
    expect(bob.received).toEqual([2, 4, 5, 6, 'removed']);
  });

  it('closes a lane with its last listener', async () => {
    const room = new Room();
    room.floors.set('ann', 0).set('bob', 0);
    const ann = await enter(room, 'ann', LOG);
    const bob = await enter(room, 'bob', null);
    room.audience.remove(ann.listener);
    expect(room.lanes.get(LOG)).toBeDefined();
    room.audience.remove(bob.listener);
    expect(room.lanes.get(LOG)).toBeUndefined();
  });

  describe('a user who leaves and joins again', () => {
    const leaveAndReturn = [left(1, 'bob'), joined(2, 'bob'), changeOf(3)];

    async function follower() {
      const room = new Room();
      room.floors.set('bob', 0);
      const bob = await enter(room, 'bob', null);
      return { room, bob, lane: room.lanes.get(LOG) as Lane<Subscribers> };
    }

    it.each<[string, (room: Room, lane: Lane<Subscribers>) => Promise<void>]>([
      ['one lane is filled', (_room, lane) => lane.fill()],
      ['many lanes are filled', (room, lane) => room.lanes.fill([lane])],
    ])('keeps a lane that has no other subscribers (%s)', async (_how, fill) => {
      vi.useRealTimers();
      const { room, bob, lane } = await follower();
      room.commit(...leaveAndReturn);
      await fill(room, lane);
      expect(bob.received).toEqual([1, 2, 3]);
      expect(room.lanes.get(LOG)).toBe(lane);
      room.offer(changeOf(4));
      expect(bob.received).toEqual([1, 2, 3, 4]);
    });

    it('keeps it if the change by which they join arrives first', async () => {
      const { room, bob, lane } = await follower();
      const [leave, join, message] = leaveAndReturn as [Change, Change, Change];
      room.offer(message, join, leave);
      expect(bob.received).toEqual([1, 2, 3]);
      expect(room.lanes.get(LOG)).toBe(lane);
    });

    it('keeps it if there is a gap before the change by which they join', async () => {
      const { room, bob } = await follower();
      room.commit(left(1, 'bob'), changeOf(2), joined(3, 'bob'));
      room.offer(joined(3, 'bob'), left(1, 'bob'));
      expect(bob.received).toEqual([1]);
      await gapTimeout();
      expect(bob.received).toEqual([1, 3]);
    });

    it('keeps the lane without subscribers while the change by which they join waits behind a gap', async () => {
      const room = new Room();
      room.floors.set('ann', 0);
      const ann = await enter(room, 'ann', LOG);
      const bob = await enter(room, 'bob', null);
      room.offer(joined(2, 'bob'));
      room.audience.remove(ann.listener);
      room.offer(changeOf(1));
      expect(bob.received).toEqual([2]);
    });

    it('keeps it while it is held', async () => {
      const { room, bob, lane } = await follower();
      const release = lane.hold();
      room.offer(left(1, 'bob'));
      room.offer(joined(2, 'bob'));
      release();
      expect(bob.received).toEqual([1, 2]);
      expect(room.lanes.get(LOG)).toBe(lane);
    });
  });

  it.each<[string, (room: Room, lane: Lane<Subscribers>) => unknown]>([
    ['filled', (_room, lane) => lane.fill()],
    ['filled with others', (room, lane) => room.lanes.fill([lane])],
    [
      'held',
      (room, lane) => {
        const release = lane.hold();
        room.offer(left(1, 'bob'), changeOf(2));
        expect(room.lanes.get(LOG)).toBe(lane);
        release();
      },
    ],
  ])('closes a lane that nobody needs any more when it is no longer %s', async (_what, deliver) => {
    vi.useRealTimers();
    const room = new Room();
    room.floors.set('bob', 0);
    const bob = await enter(room, 'bob', null);
    room.commit(left(1, 'bob'), changeOf(2));
    await deliver(room, room.lanes.get(LOG) as Lane<Subscribers>);
    expect(bob.received).toEqual([1]);
    expect(room.lanes.get(LOG)).toBeUndefined();
  });

  describe('memberships that change while they are read for a listener to all conversations', () => {
    /** Bob's memberships are being read at change `readAt`; Ann's listener keeps the lane open. */
    async function reading(readAt: number) {
      const room = new Room();
      room.floors.set('ann', 0).set('bob', 0);
      await enter(room, 'ann', LOG);
      room.readAt = readAt;
      const lookup = gate();
      room.lookup = lookup.promise;
      const { listener, received } = listen('bob', null);
      const added = room.audience.add(listener);
      await vi.advanceTimersByTimeAsync(0);
      return {
        room,
        received,
        async read() {
          lookup.open();
          await added;
        },
      };
    }

    it('delivers nothing to a user who has left since', async () => {
      const { room, received, read } = await reading(0);
      room.offer(left(1, 'bob'));
      await read();
      room.offer(changeOf(2));
      expect(received).toEqual([]);
    });

    it('delivers to a user who had joined again by then, on a lane that lags behind', async () => {
      const { room, received, read } = await reading(3);
      room.offer(changeOf(1), left(2, 'bob'));
      await read();
      room.offer(joined(3, 'bob'), changeOf(4));
      expect(received).toEqual([3, 4]);
    });

    it('delivers to a user who has left and joined again since', async () => {
      const { room, received, read } = await reading(0);
      room.offer(left(1, 'bob'), joined(2, 'bob', 5));
      await read();
      room.offer(changeOf(3, { data: { seq: 5 } }), changeOf(4, { data: { seq: 6 } }));
      expect(received).toEqual([2, 4]);
    });

    it('decides by what was read what a user may see, on a lane that lags behind', async () => {
      const { room, received, read } = await reading(3);
      room.floors.set('bob', 2);
      await read();
      room.offer(changeOf(1), changeOf(2), changeOf(3));
      expect(received).toEqual([3]);
    });

    it('starts a new lane at the change at which they were read', async () => {
      const room = new Room();
      room.floors.set('bob', 0);
      room.readAt = 1;
      room.commit(changeOf(1), left(2, 'bob'), changeOf(3));
      const bob = await enter(room, 'bob', null);
      expect(room.positionReads).toBe(0);
      room.offer(changeOf(3));
      await gapTimeout();
      expect(bob.received).toEqual([2]);
    });
  });

  it('gives a member who is admitted late what the lane has delivered since they joined, once', async () => {
    const room = new Room();
    room.floors.set('ann', 0);
    room.commit(changeOf(1), changeOf(2), joined(3, 'bob', 2), changeOf(4), changeOf(5, { data: { seq: 2 } }));
    await enter(room, 'ann', LOG);
    const bob = await enter(room, 'bob', null);
    const lane = room.lanes.get(LOG) as Lane<Subscribers>;
    expect(lane.position).toBe(5);
    await Promise.all([room.audience.admit(lane, 'bob', 2), room.audience.admit(lane, 'bob', 2)]);
    expect(bob.received, 'change 5 concerns a message that is hidden from Bob').toEqual([3, 4]);
    expect(room.reads).toEqual([2]);
    room.offer(changeOf(6));
    expect(bob.received).toEqual([3, 4, 6]);
  });

  it('delivers events outside the log to those who watch, and events for one user to that user only', async () => {
    const room = new Room();
    room.floors.set('ann', 0).set('bob', 0);
    const ann = await enter(room, 'ann', LOG, ['TYPING']);
    const bob = await enter(room, 'bob', null, ['TYPING']);
    const other = await enter(room, 'bob', null);
    expect(room.audience.isWatched(LOG, 'TYPING')).toBe(true);
    expect(room.audience.isWatched(LOG, 'MESSAGE')).toBe(false);
    room.audience.deliverOutsideLog(changeOf(1, { type: 'TYPING' }));
    room.audience.deliverOutsideLog(changeOf(2, { type: 'TYPING' }), 'bob');
    expect(ann.received).toEqual([1]);
    expect(bob.received).toEqual([1, 2]);
    expect(other.received).toEqual([]);
    room.audience.remove(ann.listener);
    room.audience.remove(bob.listener);
    expect(room.audience.isWatched(LOG, 'TYPING')).toBe(false);
  });
});
