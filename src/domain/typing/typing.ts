import type { Config } from '../../infra/config/config.js';
import { defineService } from '../../platform/service.js';
import type { Bus } from '../../realtime/bus.js';
import type { ChangeKind } from '../../realtime/change.js';
import type { Feed } from '../../realtime/feed.js';
import { reviveDates } from '../../realtime/wire.js';
import type { User } from '../user/user.store.js';

export const TYPING = 'TYPING';

/** That somebody is typing, or is not any more: never stored, and lost where nobody listens. */
export interface TypingNotice {
  user: User;
  isTyping: boolean;
  /** How long it counts unless it is said again, in milliseconds: nodes' clocks may differ. */
  ttlMs: number;
}

/** Raised whenever what is told between nodes grows or changes, the rows of people in it too. */
const VERSION = 2;

export const typingNotices: ChangeKind<TypingNotice> = {
  types: [TYPING],
  fleeting: true,
  encode: (notice) => ({ v: VERSION, ...notice }),
  decode(json) {
    const { v, ...notice } = json as { v?: number } & TypingNotice;
    if (v !== VERSION) return undefined;
    reviveDates(notice.user, 'createdAt', 'deletedAt', 'suspendedAt');
    return notice;
  },
  load: async (_db, rows) => rows.map(() => null),
};

/** Who is typing: each at the node that was told last, whose business it is to end it. */
export interface Typing {
  /** Tells the others of it; ends by itself. */
  start(conversationId: string, user: User): void;
  /** Whether they were told a moment ago, by any node: then there is nothing to tell. */
  isTold(conversationId: string, userId: string): boolean;
  /** Ends it, if it is, at whatever node: because they say so, have sent, or are gone. */
  stop(conversationId: string, userId: string): void;
  stopAll(userId: string): void;
  /** Ends what was begun at this node: of who is invisible, which every node hears of by itself. */
  stopHere(userId: string): void;
  close(): void;
}

/** The same is told again when half of its time is over. */
const RENEW_SHARE = 0.5;
/** So often within that time others are told that it is so, or is not; what changes beyond is told at its end. */
const CHANGES_MAX = 4;
/** Two nodes that begin at once, in milliseconds: one of them takes it. */
const AT_ONCE_MS = 1_000;
const CHANNEL = 'typing';

interface Typist {
  user: User;
  isTyping: boolean;
  /** What the others were told last, and when that it is so. */
  told: boolean;
  toldAt: number;
  /** Since when, and how often, they were told. */
  countedAt: number;
  count: number;
  /** Ends it, or forgets who has ended. */
  end: NodeJS.Timeout | undefined;
  later: NodeJS.Timeout | undefined;
}

function createTyping(options: {
  config: Pick<Config, 'typingTtlMs'>;
  feed: Feed;
  bus: Bus;
  generation: string;
  nodeId: string;
}): Typing {
  const { config, feed, bus, nodeId } = options;
  const { typingTtlMs: ttlMs } = config;
  const renewMs = RENEW_SHARE * ttlMs;
  const channel = `${options.generation}:${CHANNEL}`;
  /** Of this node; by person, then by conversation. */
  const typists = new Map<string, Map<string, Typist>>();
  /** Who began at another node, and when: forgotten when its time is over. */
  const elsewhere = new Map<string, Map<string, { at: number; forget: NodeJS.Timeout }>>();

  function tellOthers(conversationId: string, user: User, isTyping: boolean): void {
    const data: TypingNotice = { user, isTyping, ttlMs: isTyping ? ttlMs : 0 };
    feed.tell({
      conversationId,
      type: TYPING,
      changeSeq: 0,
      messageId: null,
      subjectId: user.id,
      actorId: user.id,
      data,
    });
  }

  /** Tells how it is, unless that was told too often: then at the end of that time, how it is then. */
  function tell(conversationId: string, typist: Typist): void {
    const { user } = typist;
    if (!typist.isTyping && !typist.told) return;
    const now = performance.now();
    if (now - typist.countedAt >= renewMs) Object.assign(typist, { countedAt: now, count: 0 });
    if (typist.count >= CHANGES_MAX) {
      typist.later ??= setTimeout(
        () => {
          typist.later = undefined;
          if (typist.isTyping === typist.told) return;
          if (typist.isTyping) endLater(conversationId, typist);
          tell(conversationId, typist);
        },
        Math.max(0, typist.countedAt + renewMs - now),
      );
      return;
    }
    typist.count += 1;
    typist.told = typist.isTyping;
    if (typist.isTyping) typist.toldAt = now;
    bus.publish(channel, `${typist.isTyping ? 'begun' : 'ended'} ${conversationId} ${user.id} ${nodeId}`);
    tellOthers(conversationId, user, typist.isTyping);
  }

  function endLater(conversationId: string, typist: Typist): void {
    clearTimeout(typist.end);
    typist.end = setTimeout(() => stopOne(conversationId, typist), ttlMs);
  }

  function stopOne(conversationId: string, typist: Typist): void {
    if (!typist.isTyping) return;
    typist.isTyping = false;
    clearTimeout(typist.end);
    // Until then it counts how often the others were told.
    typist.end = setTimeout(() => forget(conversationId, typist.user.id), renewMs + 100);
    tell(conversationId, typist);
  }

  function forget(conversationId: string, userId: string): void {
    const own = typists.get(userId);
    const typist = own?.get(conversationId);
    if (!own || !typist) return;
    clearTimeout(typist.end);
    clearTimeout(typist.later);
    own.delete(conversationId);
    if (own.size === 0) typists.delete(userId);
  }

  function forgetElsewhere(conversationId: string, userId: string): void {
    const theirs = elsewhere.get(userId);
    const known = theirs?.get(conversationId);
    if (!theirs || !known) return;
    clearTimeout(known.forget);
    theirs.delete(conversationId);
    if (theirs.size === 0) elsewhere.delete(userId);
  }

  function stop(conversationId: string, userId: string): void {
    const typist = typists.get(userId)?.get(conversationId);
    if (typist) stopOne(conversationId, typist);
    if (!elsewhere.get(userId)?.has(conversationId)) return;
    forgetElsewhere(conversationId, userId);
    bus.publish(channel, `end ${conversationId} ${userId} ${nodeId}`);
  }

  const stopHere = (userId: string) => {
    for (const [conversationId, typist] of [...(typists.get(userId) ?? [])]) stopOne(conversationId, typist);
  };

  // ── the bus: what other nodes have told ("begun", "ended"), or want to be ended wherever it is ("end") ──

  bus.subscribe(channel, (text) => {
    const [word, conversationId = '', userId = '', otherId = ''] = text.split(' ');
    const typist = typists.get(userId)?.get(conversationId);
    if (word === 'end' && typist) stopOne(conversationId, typist);
    if (word === 'ended') forgetElsewhere(conversationId, userId);
    if (word !== 'begun') return;
    const began = performance.now() - (typist?.isTyping ? typist.toldAt : Number.NEGATIVE_INFINITY);
    if (began < AT_ONCE_MS && nodeId < otherId) return;
    // It is that node's business now.
    if (typist?.isTyping) forget(conversationId, userId);
    forgetElsewhere(conversationId, userId);
    const theirs = elsewhere.get(userId) ?? new Map<string, { at: number; forget: NodeJS.Timeout }>();
    elsewhere.set(userId, theirs);
    const over = setTimeout(() => forgetElsewhere(conversationId, userId), ttlMs);
    theirs.set(conversationId, { at: performance.now(), forget: over });
  });

  return {
    start(conversationId, user) {
      const own = typists.get(user.id) ?? new Map<string, Typist>();
      typists.set(user.id, own);
      const typist: Typist = own.get(conversationId) ?? {
        user,
        isTyping: true,
        told: false,
        toldAt: Number.NEGATIVE_INFINITY,
        countedAt: Number.NEGATIVE_INFINITY,
        count: 0,
        end: undefined,
        later: undefined,
      };
      own.set(conversationId, typist);
      forgetElsewhere(conversationId, user.id);
      Object.assign(typist, { user, isTyping: true });
      endLater(conversationId, typist);
      tell(conversationId, typist);
    },
    isTold(conversationId, userId) {
      const typist = typists.get(userId)?.get(conversationId);
      const at = typist?.isTyping ? typist.toldAt : elsewhere.get(userId)?.get(conversationId)?.at;
      return at !== undefined && performance.now() - at < renewMs;
    },
    stop,
    stopAll(userId) {
      stopHere(userId);
      for (const conversationId of [...(elsewhere.get(userId)?.keys() ?? [])]) stop(conversationId, userId);
    },
    stopHere,
    close() {
      for (const [userId, own] of [...typists]) for (const id of [...own.keys()]) forget(id, userId);
      for (const [userId, theirs] of [...elsewhere]) for (const id of [...theirs.keys()]) forgetElsewhere(id, userId);
    },
  };
}

export const typing = defineService('typing', ({ config, feed, bus, database, nodeId }) =>
  createTyping({ config, feed, bus, generation: database.generation, nodeId }),
);
