import { ChatError } from '../core/errors.js';
import { cursorExpired, decodeSyncCursor, type SyncCursor } from '../core/sync-cursor.js';
import type { FeedEvent, Listener } from './audience.js';
import type { Change } from './change.js';
import type { Feed } from './feed.js';
import type { EventSource } from './live-stream.js';
import type { ReplaySlot } from './replay-limiter.js';
import { Stream } from './stream.js';

/** The delivery of an event to a subscriber. */
export interface Delivery {
  /** The cursor with which the stream resumes after this event. */
  cursor: string;
  /** Whether the event was missed and is delivered during catch-up. */
  replayed: boolean;
  /** For live events: when the change was committed (`Change.committedAt`). */
  committedAt?: number | undefined;
}

/**
 * An event without a change. CAUGHT_UP: all missed events have been delivered. CHECKPOINT: carries a newer cursor.
 */
export interface Signal extends Delivery {
  type: 'CAUGHT_UP' | 'CHECKPOINT';
}

/** An event with a change. */
export type ChangeEvent<Type extends string = string, Data = unknown> = Delivery & { type: Type; change: Change<Data> };

/** An event of a durable stream. */
export type StreamEvent<Type extends string = string, Data = unknown> = Signal | ChangeEvent<Type, Data>;

/**
 * A kind of durable streams, defined once by `defineStreamKind`: which changes they contain, and as which events. All
 * streams of a kind share the event objects, so that equal events are computed and serialized once.
 */
export interface StreamKind<Event> {
  /** The types of changes that the streams contain. */
  readonly types: readonly string[];
  /** The event for a live change, as this user receives it; undefined if they receive none. */
  eventOf(event: FeedEvent & { change: Change }, userId: string): Event | undefined;
  /** The event for a missed change, as this user receives it; undefined if they receive none. */
  replayOf(change: Change, cursor: string, userId: string): Event | undefined;
  signalOf(type: Signal['type'], event: FeedEvent): Signal;
}

export function defineStreamKind<Type extends string, Data>(options: {
  types: readonly string[];
  /** The type of the event for a change, as users with this variant receive it; undefined if they receive none. */
  typeOf(change: Change<Data>, variant: string): Type | undefined;
  /**
   * The variant of the event that a user receives: one of a few strings. Absent if all users receive the same event.
   */
  variantOf?(change: Change, userId: string): string;
}): StreamKind<ChangeEvent<Type, Data>> {
  const { types, typeOf, variantOf } = options;
  /** The keys of events in `FeedEvent.memo`, by variant. */
  const keys = new Map<string, symbol>();
  const signalKeys = { CAUGHT_UP: Symbol('CAUGHT_UP'), CHECKPOINT: Symbol('CHECKPOINT') };
  function keyOf(variant: string): symbol {
    let key = keys.get(variant);
    if (!key) {
      key = Symbol(variant);
      keys.set(variant, key);
    }
    return key;
  }
  const keyForAll = keyOf('');
  function memoized<Value>({ memo }: FeedEvent, key: symbol, create: () => Value): Value {
    let value = memo.get(key) as Value | undefined;
    if (value === undefined) {
      value = create();
      memo.set(key, value);
    }
    return value;
  }
  function toEvent(change: Change, variant: string, delivery: Delivery): ChangeEvent<Type, Data> | undefined {
    const ofKind = change as Change<Data>;
    const type = typeOf(ofKind, variant);
    return type && { type, ...delivery, change: ofKind };
  }
  function liveEvent({ change, cursor }: FeedEvent & { change: Change }, variant: string) {
    return toEvent(change, variant, { cursor, replayed: false, committedAt: change.committedAt });
  }
  return {
    types,
    eventOf(event, userId) {
      if (!variantOf) return memoized(event, keyForAll, () => liveEvent(event, ''));
      const variant = variantOf(event.change, userId);
      return memoized(event, keyOf(variant), () => liveEvent(event, variant));
    },
    replayOf: (change, cursor, userId) =>
      toEvent(change, variantOf?.(change, userId) ?? '', { cursor, replayed: true }),
    signalOf: (type, event) =>
      memoized(event, signalKeys[type], (): Signal => ({ type, cursor: event.cursor, replayed: false })),
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
  /** The maximum number of events that wait for the consumer. */
  queueMax: number;
  /** Called when the queue is full: the connection should close with a code after which the client reconnects and resumes. */
  onSlowConsumer(): void;
  onClose(): void;
}

/** The interval at which an idle stream sends a CHECKPOINT, in milliseconds. docs/PROTOCOL.md promises it. */
const CHECKPOINT_MS = 30_000;

/**
 * Opens a durable stream. It delivers what was missed since `after`, then CAUGHT_UP, then live events, with a CHECKPOINT
 * within two seconds after the last event and then every 30 seconds. No change is skipped or repeated, and every change
 * that a cursor contains is delivered before the event with that cursor.
 *
 * Missed changes are read from the database no faster than the consumer reads the stream, and only for a few streams of
 * a user at a time. Live changes are queued meanwhile. If the queue overflows, it is discarded, and its changes are read
 * from the database in another round of the replay: catching up needs no more memory than live delivery.
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
  /** In a field of its own, because it is read for every event of every stream. */
  readonly #kind: StreamKind<Event>;
  /** Live changes and checkpoints that have not been consumed. */
  readonly #live: Stream<FeedEvent>;
  #stopListening: (() => void) | undefined;
  #onClosed: (() => void) | undefined;
  /** The consumer of flowing events, which bypass the queue. */
  #consume: ((event: Event | Signal) => void) | undefined;

  /** Held during the replay. */
  #slot: ReplaySlot | undefined;
  /** The missed changes that have not been read yet; undefined once the stream is live. */
  #replay: AsyncIterator<Change[]> | undefined;
  /**
   * The cursor at which this round of the replay began. Its events carry it, because they are not delivered in the order
   * of cursors.
   */
  #since = '';
  /** The feed's position when this round began: when the round is over, everything up to it has been delivered. */
  #roundStart: FeedEvent;
  /** Whether the queue has overflowed during this round, so that another one is necessary. */
  #hasOverflowed = false;
  /** The number of the last replayed change, by `numberingOf`. */
  #replayed: Map<string, number> | undefined;
  #ready: (Event | Signal)[] = [];

  /**
   * Whether an event was delivered that no sent cursor contains yet. The first sweep that ends after the event may have
   * begun before it, so that only the cursor of the second one is certain to contain it.
   */
  #uncovered: 'no' | 'since this sweep' | 'since the last sweep' = 'no';
  #checkpointAt = Date.now();

  constructor(options: ChangeStreamOptions<Event>) {
    ({ userId: this.userId, conversationId: this.conversationId, queueMax: this.queueMax } = options);
    this.#options = options;
    this.#kind = options.kind;
    this.types = options.kind.types;
    // Read before the stream listens: changes up to here were not delivered to it, and are part of the replay.
    this.#roundStart = options.feed.now;
    this.#live = new Stream({
      limit: options.queueMax,
      onOverflow: () => this.#overflow(),
      onClose: () => {
        this.#stopListening?.();
        this.#slot?.release();
        options.onClose();
        this.#onClosed?.();
      },
    });
  }

  async open(): Promise<void> {
    const { feed, generation, after } = this.#options;
    const since = after == null ? undefined : decodeSyncCursor(after, 'after', generation);
    // Before anything is read or stored for the stream, so that waiting streams use no resources.
    if (since) this.#slot = await feed.replays.acquire(this.userId, () => this.dropSlowConsumer());
    if (this.#live.closed) this.#slot?.release();
    this.#roundStart = feed.now;
    this.#replay = noChanges();
    this.#stopListening = await feed.listen(this);
    if (this.#live.closed) this.#stopListening();
    else if (since && after != null) {
      await this.#replaySince(since, after);
      feed.counts.resumes += 1;
    }
  }

  async #replaySince(since: SyncCursor, cursor: string): Promise<void> {
    this.#since = cursor;
    this.#replay = await this.#options.feed.missed(this, since);
  }

  // ── the listener ──

  onChange(event: FeedEvent & { change: Change }): void {
    this.#uncovered = 'since this sweep';
    this.#push(event);
  }

  onProgress(event: FeedEvent): void {
    if (this.#replay) return;
    const isDue = Date.now() - this.#checkpointAt >= CHECKPOINT_MS;
    if (this.#uncovered === 'since this sweep') this.#uncovered = 'since the last sweep';
    else if (this.#uncovered === 'since the last sweep' || isDue) {
      this.#uncovered = 'no';
      this.#checkpointAt = Date.now();
      this.#push(event);
    }
  }

  #push(feedEvent: FeedEvent): void {
    if (!this.#consume) {
      this.#live.push(feedEvent);
      return;
    }
    const event = this.#eventOf(feedEvent);
    if (event !== undefined) this.#consume(event);
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
    if (this.#replay) this.#hasOverflowed = true;
    else this.dropSlowConsumer();
  }

  // ── the consumer, which pulls one event after another, or lets them flow once the stream is live ──

  get isIdle(): boolean {
    return !this.#replay && this.#ready.length === 0 && this.#live.isEmpty;
  }

  isBacklog(event: Event | Signal): boolean {
    return (event as Partial<Delivery>).replayed === true;
  }

  get queued(): number {
    return this.#ready.length + this.#live.queued;
  }

  async flow(consume: (event: Event | Signal) => void): Promise<void> {
    this.#consume = consume;
    await this.#live.next();
  }

  whenClosed(listener: () => void): void {
    if (this.#live.closed) listener();
    else this.#onClosed = listener;
  }

  dropSlowConsumer(): void {
    this.#options.onSlowConsumer();
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
        this.#slot?.setReading(false);
        return { value: event, done: false };
      }
      if (this.#replay && !this.#live.closed) {
        try {
          await this.#readReplay(this.#replay);
        } catch (error) {
          // Consumers do not close an iterator that failed: the slot and the listener would remain for ever.
          await this.return();
          throw error;
        }
        continue;
      }
      const { value: feedEvent, done } = await this.#live.next();
      if (done) return { value: undefined, done: true };
      const next = this.#eventOf(feedEvent);
      if (next !== undefined) return { value: next, done: false };
    }
  }

  async #readReplay(replay: AsyncIterator<Change[]>): Promise<void> {
    const { feed, generation } = this.#options;
    this.#slot?.setReading(true);
    const { done, value: changes } = await replay.next();
    this.#slot?.setReading(false);
    if (!done) {
      for (const change of changes) {
        // Another round begins at the feed's position, which the previous round has read beyond.
        if (this.#wasReplayed(change)) continue;
        this.#replayed ??= new Map();
        this.#replayed.set(numberingOf(change), change.changeSeq);
        const event = change.data === null ? undefined : this.#kind.replayOf(change, this.#since, this.userId);
        if (event === undefined) continue;
        feed.counts.replayed += 1;
        this.#ready.push(event);
      }
    } else if (this.#hasOverflowed) {
      this.#hasOverflowed = false;
      this.#live.clear();
      const since = this.#roundStart.cursor;
      this.#roundStart = feed.now;
      await this.#replaySince(decodeSyncCursor(since, 'after', generation), since);
    } else {
      this.#replay = undefined;
      this.#slot?.release();
      this.#slot = undefined;
      this.#checkpointAt = Date.now();
      // Replayed changes may be newer than the start of the round: a CHECKPOINT whose cursor contains them follows.
      if (this.#replayed && this.#uncovered === 'no') this.#uncovered = 'since this sweep';
      this.#ready.push(this.#kind.signalOf('CAUGHT_UP', this.#roundStart));
    }
  }

  #eventOf(feedEvent: FeedEvent): Event | Signal | undefined {
    if (!hasChange(feedEvent)) return this.#kind.signalOf('CHECKPOINT', feedEvent);
    // The change was both replayed and delivered live.
    if (this.#replayed !== undefined && this.#wasReplayed(feedEvent.change)) return undefined;
    return this.#kind.eventOf(feedEvent, this.userId);
  }

  #wasReplayed(change: Change): boolean {
    return this.#replayed !== undefined && change.changeSeq <= (this.#replayed.get(numberingOf(change)) ?? 0);
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

/** Identifies the numbering of a change: changes are numbered within their log, and each watermark has its own numbers. */
const numberingOf = ({ conversationId, isWatermark, subjectId }: Change): string =>
  isWatermark ? `${conversationId} ${subjectId}` : conversationId;

const hasChange = (event: FeedEvent): event is FeedEvent & { change: Change } => event.change !== null;

async function* noChanges(): AsyncGenerator<Change[]> {}
