import { ChatError } from '../core/errors.js';
import { cursorExpired, decodeSyncCursor, type SyncCursor } from '../core/sync-cursor.js';
import type { Listener, Moment } from './audience.js';
import type { Change } from './change.js';
import type { Feed } from './feed.js';
import type { EventSource } from './live-stream.js';
import type { ReplayTurn } from './replays.js';
import { Stream } from './stream.js';

/** Where and when an event is delivered. */
export interface Delivery {
  /** What `after` takes to go on behind this event. */
  cursor: string;
  /** True while catching up. */
  replayed: boolean;
  /** When what it tells of was committed, of what is told as it happens: `Change.committedAt`. */
  committedAt?: number | undefined;
}

/** CAUGHT_UP: all that was missed has come. CHECKPOINT: nothing happened; a fresh cursor to keep. */
export interface Signal extends Delivery {
  type: 'CAUGHT_UP' | 'CHECKPOINT';
}

/**
 * A sort of durable stream: what its subscribers are told of changes. Made once, by `defineStreamKind`; subscribers of
 * one kind share the event objects of what happens to them all.
 */
export interface StreamKind<Event> {
  /** The types of changes that it is of. */
  readonly types: readonly string[];
  /** The event that a change of the feed is to this person; undefined when it is none. */
  eventOf(moment: Moment & { change: Change }, userId: string): Event | undefined;
  /** The event of a change that is replayed to one subscriber. */
  replayOf(change: Change, cursor: string, userId: string): Event | undefined;
  signalOf(type: Signal['type'], moment: Moment): Signal;
}

export function defineStreamKind<Event extends Delivery>(options: {
  types: readonly string[];
  /** The event that a change is; undefined when it is none. `side` is what `sideOf` said. */
  toEvent(change: Change, delivery: Delivery, side: string): Event | undefined;
  /** On which side of a change the person is, in one of a few words; absent where it is the same to everyone. */
  sideOf?(change: Change, userId: string): string;
}): StreamKind<Event> {
  const { types, toEvent, sideOf } = options;
  /** By side: who tells one side's event from another's. */
  const sides = new Map<string, symbol>();
  const signals = { CAUGHT_UP: Symbol('CAUGHT_UP'), CHECKPOINT: Symbol('CHECKPOINT') };
  function markOf(side: string): symbol {
    let mark = sides.get(side);
    if (!mark) {
      mark = Symbol(side);
      sides.set(side, mark);
    }
    return mark;
  }
  const forAll = markOf('');
  function once<Value>(moment: Moment, mark: symbol, make: () => Value): Value {
    let event = moment.made.get(mark) as Value | undefined;
    if (event === undefined) {
      event = make();
      moment.made.set(mark, event);
    }
    return event;
  }
  return {
    types,
    eventOf(moment, userId) {
      const { change, cursor } = moment;
      const deliveryOf = (): Delivery => ({ cursor, replayed: false, committedAt: change.committedAt });
      if (!sideOf) return once(moment, forAll, () => toEvent(change, deliveryOf(), ''));
      const side = sideOf(change, userId);
      return once(moment, markOf(side), () => toEvent(change, deliveryOf(), side));
    },
    replayOf: (change, cursor, userId) => toEvent(change, { cursor, replayed: true }, sideOf?.(change, userId) ?? ''),
    signalOf: (type, moment) =>
      once(moment, signals[type], (): Signal => ({ type, cursor: moment.cursor, replayed: false })),
  };
}

export interface ChangeStreamOptions<Event> {
  feed: Feed;
  generation: string;
  userId: string;
  /** See `Listener.conversationId`. */
  conversationId: string | null;
  kind: StreamKind<Event>;
  after: string | null | undefined;
  /** Most events that wait for a subscriber that does not read. */
  queueMax: number;
  /** Who does not read is cut off: their connection is to end in a way that makes clients come back and resume. */
  onCutOff(): void;
  onClose(): void;
}

/** How often an idle stream gives a fresh cursor, in milliseconds: the contract's 30 seconds. */
const CHECKPOINT_MS = 30_000;

/**
 * A durable stream: what was missed since `after`, then CAUGHT_UP, then life, with a CHECKPOINT within two seconds of
 * the last event and then every 30. Nothing is skipped and nothing repeated; all that a cursor of it has seen was
 * delivered in front of it.
 *
 * What was missed is read as fast as it is taken, of few streams of one person at a time: others wait until then. What happens meanwhile waits in the queue, and where that runs over
 * it is dropped and read in a second round: catching up needs no more memory than life.
 *
 * @throws {ChatError} BAD_USER_INPUT or CURSOR_EXPIRED with the field `after`.
 */
export async function openChangeStream<Event>(options: ChangeStreamOptions<Event>): Promise<ChangeStream<Event>> {
  const stream = new ChangeStream(options);
  try {
    await stream.open();
  } catch (error) {
    if (error instanceof ChatError && error.code === 'CURSOR_EXPIRED') options.feed.counts.expired += 1;
    stream.end();
    throw error;
  }
  return stream;
}

export class ChangeStream<Event> implements EventSource<Event | Signal>, Listener {
  readonly userId: string;
  readonly conversationId: string | null;
  readonly types: readonly string[];
  readonly queueMax: number;
  readonly #options: ChangeStreamOptions<Event>;
  /** Beside the options, for it is asked at every event: what is near is quick where thousands listen. */
  readonly #kind: StreamKind<Event>;
  readonly #live: Stream<Moment>;
  #stopListening: (() => void) | undefined;
  #onClosed: (() => void) | undefined;
  /** Who takes events as they happen, past the queue. */
  #taker: ((event: Event | Signal) => void) | undefined;

  /** Whose turn it is to replay: this one's, until it is live. */
  #turn: ReplayTurn | undefined;
  /** What is still to be replayed; undefined once it is live. */
  #replay: AsyncIterator<Change[]> | undefined;
  /** Where the replay under way began; its events carry it, for they are not in the order of cursors. */
  #since = '';
  /** All that this has seen is delivered when the replay under way is. */
  #mark: Moment;
  /** More happened during the replay than the queue holds. */
  #behind = false;
  /** The last change that was replayed, by what it is numbered in. */
  #replayed: Map<string, number> | undefined;
  #ready: (Event | Signal)[] = [];

  /** Whether an event waits for a cursor that has seen it: the first sweep after it may have begun before. */
  #unseen: 'no' | 'since this sweep' | 'since the last sweep' = 'no';
  #signalledAt = Date.now();

  constructor(options: ChangeStreamOptions<Event>) {
    ({ userId: this.userId, conversationId: this.conversationId, queueMax: this.queueMax } = options);
    this.#options = options;
    this.#kind = options.kind;
    this.types = options.kind.types;
    // Before it listens: what this has seen went to nobody here, so it is in the replay.
    this.#mark = options.feed.now;
    this.#live = new Stream({
      limit: options.queueMax,
      onOverflow: () => this.#overflow(),
      onClose: () => {
        this.#stopListening?.();
        this.#turn?.end();
        options.onClose();
        this.#onClosed?.();
      },
    });
  }

  async open(): Promise<void> {
    const { feed, generation, after } = this.#options;
    const since = after == null ? undefined : decodeSyncCursor(after, 'after', generation);
    // Before anything is read or kept for it: who waits costs nothing.
    if (since) this.#turn = await feed.replays.begin(this.userId, () => this.cutOff());
    if (this.#live.closed) this.#turn?.end();
    this.#mark = feed.now;
    this.#replay = noChanges();
    this.#stopListening = await feed.listen(this);
    if (this.#live.closed) this.#stopListening();
    else if (since && after != null) {
      await this.#replaySince(since, after);
      feed.counts.resumes += 1;
    }
  }

  async #replaySince(since: SyncCursor, text: string): Promise<void> {
    this.#since = text;
    this.#replay = await this.#options.feed.missed(this, since);
  }

  // ── the listener ──

  onChange(moment: Moment & { change: Change }): void {
    this.#unseen = 'since this sweep';
    this.#take(moment);
  }

  onProgress(moment: Moment): void {
    if (this.#replay) return;
    const due = Date.now() - this.#signalledAt >= CHECKPOINT_MS;
    if (this.#unseen === 'since this sweep') this.#unseen = 'since the last sweep';
    else if (this.#unseen === 'since the last sweep' || due) {
      this.#unseen = 'no';
      this.#signalledAt = Date.now();
      this.#take(moment);
    }
  }

  #take(moment: Moment): void {
    if (!this.#taker) {
      this.#live.push(moment);
      return;
    }
    const event = this.#eventOf(moment);
    if (event !== undefined) this.#taker(event);
  }

  onRemoved(): void {
    this.fail(
      new ChatError('NOT_FOUND', 'You are no longer a member of this conversation.', { field: 'conversationId' }),
    );
  }

  onLost(): void {
    this.#ready = [];
    this.#live.clear();
    this.fail(cursorExpired('after', 'the database was restored, or a failover occurred'));
  }

  onEnd(): void {
    this.end();
  }

  #overflow(): void {
    this.#live.clear();
    if (this.#replay) this.#behind = true;
    else this.cutOff();
  }

  // ── who reads it: one event after another, or from when it is live as they happen ──

  get isIdle(): boolean {
    return !this.#replay && this.#ready.length === 0 && this.#live.isEmpty;
  }

  get queued(): number {
    return this.#ready.length + this.#live.queued;
  }

  async flow(taker: (event: Event | Signal) => void): Promise<void> {
    this.#taker = taker;
    await this.#live.next();
  }

  whenClosed(tell: () => void): void {
    if (this.#live.closed) tell();
    else this.#onClosed = tell;
  }

  cutOff(): void {
    this.#options.onCutOff();
    this.fail(
      new ChatError(
        'UNAVAILABLE',
        'Too many events are waiting for this subscription. Resume it from the last cursor.',
      ),
    );
  }

  async next(): Promise<IteratorResult<Event | Signal>> {
    for (;;) {
      const event = this.#ready.shift();
      if (event !== undefined) {
        this.#turn?.working(false);
        return { value: event, done: false };
      }
      if (this.#replay && !this.#live.closed) {
        await this.#goOnReplaying(this.#replay);
        continue;
      }
      const { value: moment, done } = await this.#live.next();
      if (done) return { value: undefined, done: true };
      const next = this.#eventOf(moment);
      if (next !== undefined) return { value: next, done: false };
    }
  }

  async #goOnReplaying(replay: AsyncIterator<Change[]>): Promise<void> {
    const { feed, generation } = this.#options;
    this.#turn?.working(true);
    const { done, value: changes } = await replay.next();
    this.#turn?.working(false);
    if (!done) {
      for (const change of changes) {
        // A second round begins where the feed was, which is a little before what the first one read.
        if (this.#wasReplayed(change)) continue;
        this.#replayed ??= new Map();
        this.#replayed.set(numberedBy(change), change.changeSeq);
        const event = change.data === null ? undefined : this.#kind.replayOf(change, this.#since, this.userId);
        if (event === undefined) continue;
        feed.counts.replayed += 1;
        this.#ready.push(event);
      }
    } else if (this.#behind) {
      this.#behind = false;
      this.#live.clear();
      const since = this.#mark.cursor;
      this.#mark = feed.now;
      await this.#replaySince(decodeSyncCursor(since, 'after', generation), since);
    } else {
      this.#replay = undefined;
      this.#turn?.end();
      this.#turn = undefined;
      this.#signalledAt = Date.now();
      // What was replayed is newer than the mark: a cursor that has seen it follows.
      if (this.#replayed && this.#unseen === 'no') this.#unseen = 'since this sweep';
      this.#ready.push(this.#kind.signalOf('CAUGHT_UP', this.#mark));
    }
  }

  #eventOf(moment: Moment): Event | Signal | undefined {
    if (!isChange(moment)) return this.#kind.signalOf('CHECKPOINT', moment);
    // It came by both ways.
    if (this.#replayed !== undefined && this.#wasReplayed(moment.change)) return undefined;
    return this.#kind.eventOf(moment, this.userId);
  }

  #wasReplayed(change: Change): boolean {
    return this.#replayed !== undefined && change.changeSeq <= (this.#replayed.get(numberedBy(change)) ?? 0);
  }

  return(): Promise<IteratorResult<Event | Signal>> {
    this.#ready = [];
    return this.#live.return() as Promise<IteratorReturnResult<undefined>>;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  end(): void {
    this.#live.end();
  }

  fail(error: unknown): void {
    this.#live.fail(error);
  }
}

/** Changes are numbered in their conversation; what moves beside the log, each by itself. */
const numberedBy = ({ conversationId, moving, subjectId }: Change): string =>
  moving ? `${conversationId} ${subjectId}` : conversationId;

const isChange = (moment: Moment): moment is Moment & { change: Change } => moment.change !== null;

async function* noChanges(): AsyncGenerator<Change[]> {}
