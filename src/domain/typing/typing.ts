import type { Config } from '../../infra/config/config.js';
import { defineService } from '../../platform/service.js';
import type { Bus } from '../../realtime/bus.js';
import type { ChangeKind } from '../../realtime/change.js';
import type { Feed } from '../../realtime/feed.js';
import { reviveDates } from '../../realtime/wire.js';
import type { User } from '../user/user.store.js';

export const TYPING = 'TYPING';

/** A notice that a user has started or stopped typing. It is never stored, and lost if nobody is subscribed. */
export interface TypingNotice {
  user: User;
  isTyping: boolean;
  /**
   * The time in milliseconds after which it expires unless it is repeated. It is relative, because the clocks of nodes
   * may differ.
   */
  ttlMs: number;
}

/** To be incremented whenever the data sent between nodes changes, including the rows of users in it. */
const VERSION = 2;

export const typingNotices: ChangeKind<TypingNotice> = {
  types: [TYPING],
  isEphemeral: true,
  encode: (notice) => ({ v: VERSION, ...notice }),
  decode(json) {
    const { v, ...notice } = json as { v?: number } & TypingNotice;
    if (v !== VERSION) return undefined;
    reviveDates(notice.user, 'createdAt', 'deletedAt', 'suspendedAt');
    return notice;
  },
  load: async (_db, rows) => rows.map(() => null),
};

/** Tracks who is typing. Each entry belongs to the node that received the latest call; this node ends it. */
export interface Typing {
  /** Notifies others that the user is typing. The entry expires unless it is repeated. */
  start(conversationId: string, user: User): void;
  /** Whether others were notified recently, by any node, so that no further notice is necessary. */
  wasNotified(conversationId: string, userId: string): boolean;
  /** Ends an entry on whatever node it is, because the user stopped typing, sent a message or disconnected. */
  stop(conversationId: string, userId: string): void;
  stopAll(userId: string): void;
  /** Ends the entries of a user on this node; for users who became invisible, which every node is informed of. */
  stopOnThisNode(userId: string): void;
  close(): void;
}

/** A notice is repeated after this share of its time. */
const RENEW_SHARE = 0.5;
/** The maximum number of notices within that time. Further changes are sent when it ends. */
const CHANGES_MAX = 4;
/** If two nodes receive calls within this many milliseconds, one of them takes the entry. */
const SIMULTANEOUS_MS = 1_000;
const CHANNEL = 'typing';

interface Typist {
  user: User;
  isTyping: boolean;
  /** The state of which others were last notified, and when they were last notified that the user is typing. */
  notifiedState: boolean;
  notifiedAt: number;
  /** The start of the time in which notices are counted, and their number. */
  countedAt: number;
  count: number;
  /** Ends the entry, or removes one that has ended. */
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
  /** The entries of this node, by user and conversation. */
  const typists = new Map<string, Map<string, Typist>>();
  /** The entries of other nodes with their times; they are forgotten when they expire. */
  const remoteEntries = new Map<string, Map<string, { at: number; forget: NodeJS.Timeout }>>();

  function broadcast(conversationId: string, user: User, isTyping: boolean): void {
    const data: TypingNotice = { user, isTyping, ttlMs: isTyping ? ttlMs : 0 };
    feed.broadcast({
      conversationId,
      type: TYPING,
      changeSeq: 0,
      messageId: null,
      subjectId: user.id,
      actorId: user.id,
      data,
    });
  }

  /**
   * Notifies others of the current state, unless the maximum of notices is reached; then it does so when the time ends.
   */
  function notify(conversationId: string, typist: Typist): void {
    const { user } = typist;
    if (!typist.isTyping && !typist.notifiedState) return;
    const now = performance.now();
    if (now - typist.countedAt >= renewMs) Object.assign(typist, { countedAt: now, count: 0 });
    if (typist.count >= CHANGES_MAX) {
      typist.later ??= setTimeout(
        () => {
          typist.later = undefined;
          if (typist.isTyping === typist.notifiedState) return;
          if (typist.isTyping) endLater(conversationId, typist);
          notify(conversationId, typist);
        },
        Math.max(0, typist.countedAt + renewMs - now),
      );
      return;
    }
    typist.count += 1;
    typist.notifiedState = typist.isTyping;
    if (typist.isTyping) typist.notifiedAt = now;
    bus.publish(channel, `${typist.isTyping ? 'begun' : 'ended'} ${conversationId} ${user.id} ${nodeId}`);
    broadcast(conversationId, user, typist.isTyping);
  }

  function endLater(conversationId: string, typist: Typist): void {
    clearTimeout(typist.end);
    typist.end = setTimeout(() => stopOne(conversationId, typist), ttlMs);
  }

  function stopOne(conversationId: string, typist: Typist): void {
    if (!typist.isTyping) return;
    typist.isTyping = false;
    clearTimeout(typist.end);
    // Kept until then, to count the notices.
    typist.end = setTimeout(() => forget(conversationId, typist.user.id), renewMs + 100);
    notify(conversationId, typist);
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

  function forgetRemote(conversationId: string, userId: string): void {
    const theirs = remoteEntries.get(userId);
    const known = theirs?.get(conversationId);
    if (!theirs || !known) return;
    clearTimeout(known.forget);
    theirs.delete(conversationId);
    if (theirs.size === 0) remoteEntries.delete(userId);
  }

  function stop(conversationId: string, userId: string): void {
    const typist = typists.get(userId)?.get(conversationId);
    if (typist) stopOne(conversationId, typist);
    if (!remoteEntries.get(userId)?.has(conversationId)) return;
    forgetRemote(conversationId, userId);
    bus.publish(channel, `end ${conversationId} ${userId} ${nodeId}`);
  }

  const stopOnThisNode = (userId: string) => {
    for (const [conversationId, typist] of [...(typists.get(userId) ?? [])]) stopOne(conversationId, typist);
  };

  // ── the bus: notices of other nodes ("begun", "ended"), and requests to end an entry on whatever node it is ("end")
  // ──

  bus.subscribe(channel, (text) => {
    const [word, conversationId = '', userId = '', otherId = ''] = text.split(' ');
    const typist = typists.get(userId)?.get(conversationId);
    if (word === 'end' && typist) stopOne(conversationId, typist);
    if (word === 'ended') forgetRemote(conversationId, userId);
    if (word !== 'begun') return;
    const began = performance.now() - (typist?.isTyping ? typist.notifiedAt : Number.NEGATIVE_INFINITY);
    if (began < SIMULTANEOUS_MS && nodeId < otherId) return;
    // The entry now belongs to that node.
    if (typist?.isTyping) forget(conversationId, userId);
    forgetRemote(conversationId, userId);
    const theirs = remoteEntries.get(userId) ?? new Map<string, { at: number; forget: NodeJS.Timeout }>();
    remoteEntries.set(userId, theirs);
    const over = setTimeout(() => forgetRemote(conversationId, userId), ttlMs);
    theirs.set(conversationId, { at: performance.now(), forget: over });
  });

  return {
    start(conversationId, user) {
      const own = typists.get(user.id) ?? new Map<string, Typist>();
      typists.set(user.id, own);
      const typist: Typist = own.get(conversationId) ?? {
        user,
        isTyping: true,
        notifiedState: false,
        notifiedAt: Number.NEGATIVE_INFINITY,
        countedAt: Number.NEGATIVE_INFINITY,
        count: 0,
        end: undefined,
        later: undefined,
      };
      own.set(conversationId, typist);
      forgetRemote(conversationId, user.id);
      Object.assign(typist, { user, isTyping: true });
      endLater(conversationId, typist);
      notify(conversationId, typist);
    },
    wasNotified(conversationId, userId) {
      const typist = typists.get(userId)?.get(conversationId);
      const at = typist?.isTyping ? typist.notifiedAt : remoteEntries.get(userId)?.get(conversationId)?.at;
      return at !== undefined && performance.now() - at < renewMs;
    },
    stop,
    stopAll(userId) {
      stopOnThisNode(userId);
      for (const conversationId of [...(remoteEntries.get(userId)?.keys() ?? [])]) stop(conversationId, userId);
    },
    stopOnThisNode,
    close() {
      for (const [userId, own] of [...typists]) for (const id of [...own.keys()]) forget(id, userId);
      for (const [userId, theirs] of [...remoteEntries]) for (const id of [...theirs.keys()]) forgetRemote(id, userId);
    },
  };
}

export const typing = defineService('typing', ({ config, feed, bus, database, nodeId }) =>
  createTyping({ config, feed, bus, generation: database.generation, nodeId }),
);
