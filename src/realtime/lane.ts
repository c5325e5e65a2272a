import { inSlices } from '../core/slices.js';
import type { Change, ChangeRow } from './change.js';

/** How long a lane waits for late changes to close a gap before it reads the log, in milliseconds. */
export const GAP_WAIT_MS = 15;
/** Maximum number of changes that are read from the log, and loaded, at once. */
export const READ_BATCH = 500;

/** Where lanes read the log from, and where they deliver to. */
export interface LaneHost<Subscribers> {
  /** The position of each of these lanes' logs, by id; an empty log may be left out. */
  findPositions(lanes: readonly Lane<Subscribers>[]): Promise<ReadonlyMap<string, number>>;
  /** The rows of one log after a position, in order. */
  readAfter(id: string, position: number, limit: number): Promise<ChangeRow[]>;
  /** The same for many logs: in the order of `lanes`, at most `limit` rows altogether. */
  readAfterEach(lanes: readonly { id: string; position: number }[], limit: number): Promise<ChangeRow[]>;
  /** Turns rows into changes. A change that `arrived` returns is used as it is; the others are loaded. */
  load(rows: readonly ChangeRow[], arrived: (row: ChangeRow) => Change | undefined): Promise<Change[]>;
  /** Receives the changes of a lane, in order and each once. Must not throw. */
  deliver(lane: Lane<Subscribers>, change: Change): void;
  /** Called when a read found changes that had not arrived. */
  onGapFilled(count: number): void;
  /** Called when the log could not be read after a gap. The lane does not try again by itself. */
  onReadFailed(error: unknown): void;
}

/**
 * The ordered queue of one log's changes on one node. Changes may arrive in any order, repeatedly or not at all; they
 * are delivered in order and once. A gap is filled from the log before later changes are delivered.
 */
export class Lane<Subscribers> {
  /** The id of the log: of a conversation, or of the user for a personal log. */
  readonly id: string;
  /** Whether it was opened for a personal log. */
  readonly isPersonal: boolean;
  readonly subscribers: Subscribers;
  /** Pending while the position is being looked up (`Lanes.place`). Meanwhile, changes that arrive are queued. */
  placing: Promise<void> | undefined;
  readonly #host: LaneHost<Subscribers>;
  #position: number | undefined;
  #filling: Promise<void> | undefined;
  #isClosed = false;
  /** Changes that arrived and are not delivered yet, by number. */
  readonly #pending = new Map<number, Change>();
  #gapTimer: NodeJS.Timeout | undefined;
  #isDelivering = false;
  #holds = 0;
  #whenIdle: (() => void) | undefined;

  constructor(options: { id: string; isPersonal: boolean; subscribers: Subscribers; host: LaneHost<Subscribers> }) {
    ({ id: this.id, isPersonal: this.isPersonal, subscribers: this.subscribers } = options);
    this.#host = options.host;
  }

  /** The number of the last change delivered; undefined until it is known where to start. */
  get position(): number | undefined {
    return this.#position;
  }

  /** Pending while the log is being read. Meanwhile, changes that arrive are queued. */
  get filling(): Promise<void> | undefined {
    return this.#filling;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether more changes are on their way to the subscribers: they can include one by which somebody joins. */
  get #isBusy(): boolean {
    const isWaiting = this.#pending.size > 0 && this.#position !== undefined;
    return this.#holds > 0 || this.#isDelivering || this.#filling !== undefined || isWaiting;
  }

  /**
   * Calls `work` once, when no more changes are on their way: now, or after those that arrived or are being read. Only
   * the last `work` is remembered.
   */
  whenIdle(work: () => void): void {
    if (this.#isBusy) this.#whenIdle = work;
    else work();
  }

  /** Makes `whenIdle` wait until the returned function is called. */
  hold(): () => void {
    this.#holds += 1;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#holds -= 1;
      this.#checkIdle();
    };
  }

  #checkIdle(): void {
    const work = this.#whenIdle;
    if (!work || this.#isBusy) return;
    this.#whenIdle = undefined;
    work();
  }

  /** A change that arrived and is not delivered yet. */
  arrived(changeSeq: number): Change | undefined {
    return this.#pending.get(changeSeq);
  }

  /** Delivers what comes after this change. Does nothing if the position is known already. */
  startAfter(changeSeq: number): void {
    this.#position ??= changeSeq;
    for (const arrived of this.#pending.keys()) if (arrived <= this.#position) this.#pending.delete(arrived);
    this.#deliverNext();
  }

  /** Takes a change that arrived. Returns false if it has been delivered before. */
  offer(change: Change): boolean {
    if (this.#position !== undefined && change.changeSeq <= this.#position) return false;
    this.#pending.set(change.changeSeq, change);
    this.#deliverNext();
    return true;
  }

  /** Delivers everything that the log has after the position. */
  fill(): Promise<void> {
    this.stopWaiting();
    this.#filling ??= this.#readAll().finally(() => this.#filled());
    return this.#filling;
  }

  async #readAll(): Promise<void> {
    for (let more = true; more; ) {
      if (this.#position === undefined || this.#isClosed) return;
      const rows = await this.#host.readAfter(this.id, this.#position, READ_BATCH);
      const changes = await this.#host.load(rows, ({ changeSeq }) => this.#pending.get(changeSeq));
      if (this.#isClosed) return;
      const missing = rows.filter(({ changeSeq }) => !this.#pending.has(changeSeq)).length;
      if (missing > 0) this.#host.onGapFilled(missing);
      for (const change of changes) this.deliver(change);
      more = rows.length === READ_BATCH;
    }
  }

  /** Counts as being filled until `filling` settles: see `Lanes.fill`. */
  fillWith(filling: Promise<void>): Promise<void> {
    this.stopWaiting();
    this.#filling = filling.finally(() => this.#filled());
    return this.#filling;
  }

  #filled(): void {
    this.#filling = undefined;
    // If a gap is left because it could not be read, the sweep tries again: a retry from here could spin.
    if (this.#pending.has((this.#position ?? 0) + 1)) this.#deliverNext();
    this.#checkIdle();
  }

  /** Delivers a change that was read from the log in order. */
  deliver(change: Change): void {
    this.#position = change.changeSeq;
    this.#pending.delete(change.changeSeq);
    this.#host.deliver(this, change);
  }

  #deliverNext(): void {
    if (this.#position === undefined || this.#filling) return;
    this.#isDelivering = true;
    for (let next = this.#pending.get(this.#position + 1); next; next = this.#pending.get(this.#position + 1)) {
      this.deliver(next);
    }
    this.#isDelivering = false;
    if (this.#pending.size > 0) {
      this.#gapTimer ??= setTimeout(() => void this.fill().catch(this.#host.onReadFailed), GAP_WAIT_MS);
    } else this.#checkIdle();
  }

  /** Cancels the timer that fills a gap. */
  stopWaiting(): void {
    clearTimeout(this.#gapTimer);
    this.#gapTimer = undefined;
  }

  /** A closed lane reads nothing more and discards the changes that have arrived. */
  close(): void {
    this.#isClosed = true;
    this.stopWaiting();
    this.#pending.clear();
    this.#whenIdle = undefined;
  }
}

/** The lanes of one node, by the id of their log. */
export class Lanes<Subscribers> {
  readonly #host: LaneHost<Subscribers>;
  readonly #createSubscribers: () => Subscribers;
  readonly #lanes = new Map<string, Lane<Subscribers>>();

  constructor(host: LaneHost<Subscribers>, createSubscribers: () => Subscribers) {
    this.#host = host;
    this.#createSubscribers = createSubscribers;
  }

  get(id: string): Lane<Subscribers> | undefined {
    return this.#lanes.get(id);
  }

  all(): Lane<Subscribers>[] {
    return [...this.#lanes.values()];
  }

  /** Returns the lane of this log. A new one delivers nothing until it is placed or started. */
  open(id: string, isPersonal = false): Lane<Subscribers> {
    let lane = this.#lanes.get(id);
    if (!lane) {
      lane = new Lane({ id, isPersonal, subscribers: this.#createSubscribers(), host: this.#host });
      this.#lanes.set(id, lane);
    }
    return lane;
  }

  close(lane: Lane<Subscribers>): void {
    lane.close();
    // Another lane of the same log may have been opened since.
    if (this.#lanes.get(lane.id) === lane) this.#lanes.delete(lane.id);
  }

  closeAll(): void {
    for (const lane of this.#lanes.values()) lane.close();
    this.#lanes.clear();
  }

  /** Looks up where these lanes start, in one read. Changes that arrive meanwhile are queued. */
  async place(lanes: readonly Lane<Subscribers>[]): Promise<void> {
    const unplaced = lanes.filter((lane) => lane.position === undefined && !lane.placing);
    if (unplaced.length > 0) {
      const placing = this.#findPositions(unplaced);
      for (const lane of unplaced) lane.placing = placing;
    }
    await Promise.all(new Set(lanes.map(({ placing }) => placing)));
  }

  async #findPositions(lanes: readonly Lane<Subscribers>[]): Promise<void> {
    try {
      const positions = await this.#host.findPositions(lanes);
      for (const lane of lanes) lane.startAfter(positions.get(lane.id) ?? 0);
    } finally {
      for (const lane of lanes) lane.placing = undefined;
    }
  }

  /** Delivers everything that the log has after the positions of these lanes, many of them in each read. */
  async fill(lanes: readonly Lane<Subscribers>[]): Promise<void> {
    const filling = this.#readAll(lanes);
    await Promise.all(lanes.map((lane) => lane.fillWith(filling)));
  }

  async #readAll(lanes: readonly Lane<Subscribers>[]): Promise<void> {
    for (let more = true; more; ) {
      const open = new Map(lanes.filter((lane) => !lane.isClosed).map((lane) => [lane.id, lane]));
      const positions = [...open.values()].map(({ id, position = 0 }) => ({ id, position }));
      const rows = await this.#host.readAfterEach(positions, READ_BATCH);
      const arrived = (row: ChangeRow) => open.get(row.conversationId)?.arrived(row.changeSeq);
      const missing = rows.filter((row) => !arrived(row)).length;
      if (missing > 0) this.#host.onGapFilled(missing);
      await inSlices(await this.#host.load(rows, arrived), (change) => {
        const lane = open.get(change.conversationId);
        if (lane && !lane.isClosed && change.changeSeq === (lane.position ?? 0) + 1) lane.deliver(change);
      });
      more = rows.length === READ_BATCH;
    }
  }
}
