import { notFound } from '../../core/errors.js';
import type { Deps } from '../../platform/deps.js';
import type { Connection, Viewer } from '../../platform/viewer.js';
import type { Moment } from '../../realtime/audience.js';
import type { Change } from '../../realtime/change.js';
import type { LiveStream } from '../../realtime/live-stream.js';
import { canSend, sendRefused } from '../conversation/conversation.policy.js';
import { checkReadable, openLive } from '../conversation/open-stream.js';
import type { User } from '../user/user.store.js';
import { TYPING, type TypingNotice, typing } from './typing.js';
import { findTypist } from './typing.store.js';

/**
 * Says that the viewer is typing, or is not any more. To be said again every few seconds: unless it is, it ends by
 * itself after TYPING_TTL, and when they send.
 * @returns whether others are told: not of who is invisible, and not in conversations above TYPING_MAX_MEMBERS.
 * @throws {ChatError} NOT_FOUND or FORBIDDEN of `input.conversationId`: not theirs to write in.
 */
export async function setTyping(
  deps: Deps,
  viewer: Viewer,
  { conversationId, isTyping }: { conversationId: string; isTyping: boolean },
): Promise<boolean> {
  const { database, config } = deps;
  const tracker = typing.of(deps);
  const field = 'input.conversationId';
  if (isTyping && tracker.isTold(conversationId, viewer.userId)) return true;
  const found = await findTypist(database.sql, conversationId, viewer.userId);
  if (!found) {
    await checkReadable(deps, viewer, conversationId, field);
    throw notFound(field, 'Conversation');
  }
  if (!canSend(found.membership, found.counterpart)) throw sendRefused(found.membership, field);
  if (!isTyping) {
    tracker.stop(conversationId, viewer.userId);
    return true;
  }
  if (found.memberCount > config.typingMaxMembers || found.isInvisible) return false;
  tracker.start(conversationId, found.user);
  return true;
}

/** One event of the `typing` stream. */
export interface TypingEvent {
  conversationId: string;
  user: User;
  isTyping: boolean;
  expiresAt: Date;
}

const mark = Symbol('typing');

/** The event that a notice is: one and the same object for all who are told. */
function eventOf({ change, made }: Moment & { change: Change }): TypingEvent {
  const known = made.get(mark) as TypingEvent | undefined;
  if (known) return known;
  const { user, isTyping, ttlMs } = (change as Change<TypingNotice>).data;
  const event = { conversationId: change.conversationId, user, isTyping, expiresAt: new Date(Date.now() + ttlMs) };
  made.set(mark, event);
  return event;
}

/**
 * Who types, but the viewer: in one conversation, or in all of theirs. Of what happened before nothing is told.
 * @throws {ChatError} NOT_FOUND or FORBIDDEN of `conversationId`.
 */
export async function streamTyping(
  deps: Deps,
  viewer: Viewer,
  connection: Connection,
  conversationId: string | null,
): Promise<LiveStream<TypingEvent>> {
  return openLive<TypingEvent>(deps, viewer, connection, {
    conversationId,
    types: [TYPING],
    hear(moment, stream) {
      if (moment.change.subjectId !== viewer.userId) stream.push(eventOf(moment));
    },
  });
}
