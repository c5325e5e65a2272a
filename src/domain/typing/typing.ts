import type { Config } from '../../infra/config.js';
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

/** Who is typing at this node. */
export interface Typing {
  /** Tells the others of it; ends by itself. */
  start(conversationId: string, user: User): void;
  /** Whether they were told a moment ago: then there is nothing to tell. */
  isTold(conversationId: string, userId: string): boolean;
  /** Ends it, if it is: because they say so, have sent, or are gone. */
  stop(conversationId: string, userId: string): void;
  stopAll(userId: string): void;
  close(): void;
}

/** The same is told again when half of its time is over. */
const RENEW_SHARE = 0.5;

interface Typist {
  user: User;
  toldAt: number;
  end: NodeJS.Timeout;
}

export function createTyping({ config, feed }: { config: Config; feed: Feed }): Typing {
  const { typingTtlMs: ttlMs } = config;
  /** By person, then by conversation. */
  const typists = new Map<string, Map<string, Typist>>();

  function tell(conversationId: string, user: User, isTyping: boolean): void {
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

  function stop(conversationId: string, userId: string): void {
    const own = typists.get(userId);
    const typist = own?.get(conversationId);
    if (!own || !typist) return;
    clearTimeout(typist.end);
    own.delete(conversationId);
    if (own.size === 0) typists.delete(userId);
    tell(conversationId, typist.user, false);
  }

  return {
    start(conversationId, user) {
      const own = typists.get(user.id) ?? new Map<string, Typist>();
      typists.set(user.id, own);
      clearTimeout(own.get(conversationId)?.end);
      const end = setTimeout(() => stop(conversationId, user.id), ttlMs);
      own.set(conversationId, { user, toldAt: performance.now(), end });
      tell(conversationId, user, true);
    },
    isTold(conversationId, userId) {
      const typist = typists.get(userId)?.get(conversationId);
      return typist !== undefined && performance.now() - typist.toldAt < RENEW_SHARE * ttlMs;
    },
    stop,
    stopAll(userId) {
      for (const conversationId of [...(typists.get(userId)?.keys() ?? [])]) stop(conversationId, userId);
    },
    close() {
      for (const own of typists.values()) for (const { end } of own.values()) clearTimeout(end);
    },
  };
}
