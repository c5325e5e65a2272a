import type { Change } from '../../realtime/change.js';
import type { Delivery } from '../../realtime/change-stream.js';
import type { Connection, Deps, Viewer } from '../deps.js';
import { openStream, type Signal } from '../stream.js';
import { type ConversationChanged, conversationChangeTypes } from './conversation.events.js';

type EventType = 'JOINED' | 'MEMBER_JOINED' | 'MEMBER_UPDATED' | 'MEMBER_LEFT' | 'LEFT';

/** One event of the `conversations` stream. */
export type ConversationEvent = Signal | (Delivery & { type: EventType; change: Change<ConversationChanged> });

const { created, memberJoined, memberUpdated, memberLeft } = conversationChangeTypes;

/** What a change of a conversation is to one of those who hear of it: their own coming and going, or another's. */
function typeFor(change: Change, userId: string): EventType | undefined {
  const own = change.subjectId === userId;
  if (change.type === created) return 'JOINED';
  if (change.type === memberJoined) return own ? 'JOINED' : 'MEMBER_JOINED';
  if (change.type === memberUpdated) return 'MEMBER_UPDATED';
  if (change.type === memberLeft) return own ? 'LEFT' : 'MEMBER_LEFT';
  return undefined;
}

/**
 * The viewer's list of conversations, and who is in them.
 * @throws {ChatError} BAD_USER_INPUT or CURSOR_EXPIRED of `after`.
 */
export function streamConversations(
  deps: Deps,
  viewer: Viewer,
  connection: Connection,
  after: string | null | undefined,
): Promise<AsyncIterableIterator<ConversationEvent>> {
  return openStream<ConversationEvent>(deps, viewer, connection, {
    conversationId: null,
    types: Object.values(conversationChangeTypes),
    after,
    toEvent(change, delivery) {
      const type = typeFor(change, viewer.userId);
      return type && { type, ...delivery, change: change as Change<ConversationChanged> };
    },
  });
}
