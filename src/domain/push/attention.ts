import type { Database } from '../../infra/database/database.js';
import { defineService } from '../../platform/service.js';
import type { Bus } from '../../realtime/bus.js';

/**
 * Which users are looking at one of their devices, as their clients report it. Reports are not stored in the database:
 * each node keeps those that it receives for `PUSH_ATTENTION_TTL`. If Redis loses a report, a push is sent earlier, or as
 * late as if the user had not stopped looking.
 */
export interface Attention {
  /** Reports whether the user of a session is looking at its device. */
  report(report: { userId: string; sessionId: string; isActive: boolean }): void;
  /** Whether the user was looking at one of their devices within the last `PUSH_ATTENTION_TTL`. */
  isAttentive(userId: string): boolean;
  close(): void;
}

const CHANNEL = 'attention';

function createAttention({
  bus,
  database,
  ttlMs,
}: {
  bus: Bus;
  database: Pick<Database, 'generation'>;
  ttlMs: number;
}): Attention {
  /** The sessions of each user whose devices they look at, with timers that forget them. */
  const sessions = new Map<string, Map<string, NodeJS.Timeout>>();
  const channel = `${database.generation}:${CHANNEL}`;

  function forget(userId: string, sessionId: string): void {
    const own = sessions.get(userId);
    clearTimeout(own?.get(sessionId));
    if (own?.delete(sessionId) && own.size === 0) sessions.delete(userId);
  }

  function apply(userId: string, sessionId: string, isActive: boolean): void {
    forget(userId, sessionId);
    if (!isActive) return;
    const own = sessions.get(userId) ?? new Map<string, NodeJS.Timeout>();
    sessions.set(userId, own);
    own.set(sessionId, setTimeout(() => forget(userId, sessionId), ttlMs).unref());
  }

  bus.subscribe(channel, (text) => {
    const [userId = '', sessionId = '', active] = text.split(' ');
    apply(userId, sessionId, active === '1');
  });

  return {
    report({ userId, sessionId, isActive }) {
      apply(userId, sessionId, isActive);
      bus.publish(channel, `${userId} ${sessionId} ${isActive ? 1 : 0}`);
    },
    isAttentive: (userId) => sessions.has(userId),
    close() {
      for (const own of sessions.values()) for (const timer of own.values()) clearTimeout(timer);
      sessions.clear();
    },
  };
}

export const attention = defineService('attention', ({ bus, database, config }) =>
  createAttention({ bus, database, ttlMs: config.pushAttentionTtlMs }),
);
