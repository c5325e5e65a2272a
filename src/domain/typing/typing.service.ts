import { notFound } from '../../core/errors.js';
import type { Deps } from '../../platform/deps.js';
import type { Connection, Viewer } from '../../platform/viewer.js';
import type { FeedEvent } from '../../realtime/audience.js';
import type { Change } from '../../realtime/change.js';
import type { LiveStream } from '../../realtime/live-stream.js';
import { canSend, sendRefused } from '../conversation/conversation.policy.js';
import { checkReadable, openLive } from '../conversation/open-stream.js';
import type { User } from '../user/user.store.js';
import { TYPING, type TypingNotice, typing } from './typing.js';
import { findTypist } from './typing.store.js';

/**
 * Sets whether the viewer is typing. Clients repeat the call every few seconds: it expires after TYPING_TTL, and ends
 * when the viewer sends a message.
 * @returns whether others are notified: not for invisible users, and not in conversations with more than
 *   TYPING_MAX_MEMBERS members.
 * @throws {ChatError} NOT_FOUND or FORBIDDEN of `input.conversationId`: the viewer cannot write in it.
 */
export async function setTyping(
  deps: Deps,
  viewer: Viewer,
  { conversationId, isTyping }: { conversationId: string; isTyping: boolean },
): Promise<boolean> {
  const { database, config } = deps;
  const tracker = typing.of(deps);
  const field = 'input.conversationId';
  if (isTyping && tracker.wasNotified(conversationId, viewer.userId)) return true;
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

/** The event of a notice; the same object for all recipients. */
function eventOf({ change, memo }: FeedEvent & { change: Change }): TypingEvent {
  const known = memo.get(mark) as TypingEvent | undefined;
  if (known) return known;
  const { user, isTyping, ttlMs } = (change as Change<TypingNotice>).data;
  const event = { conversationId: change.conversationId, user, isTyping, expiresAt: new Date(Date.now() + ttlMs) };
  memo.set(mark, event);
  return event;
}

/**
 * Streams who is typing, except the viewer, in one conversation or in all of theirs. Earlier notices are not repeated.
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
    onChange(event, stream) {
      if (event.change.subjectId !== viewer.userId) stream.push(eventOf(event));
    },
  });
}
