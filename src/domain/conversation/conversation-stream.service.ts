import type { Deps } from '../../platform/deps.js';
import type { Connection, Viewer } from '../../platform/viewer.js';
import type { Change } from '../../realtime/change.js';
import { type ChangeStream, type Delivery, defineStreamKind, type Signal } from '../../realtime/change-stream.js';
import { type ConversationChanged, conversationChangeTypes } from './conversation.events.js';
import { openStream } from './open-stream.js';

type EventType = 'JOINED' | 'UPDATED' | 'MEMBER_JOINED' | 'MEMBER_UPDATED' | 'MEMBER_LEFT' | 'LEFT';

/** One event of the `conversations` stream. */
export type ConversationEvent = Signal | ConversationChangeEvent;
type ConversationChangeEvent = Delivery & { type: EventType; change: Change<ConversationChanged> };

const { created, updated, memberJoined, memberUpdated, memberLeft } = conversationChangeTypes;

const conversationStream = defineStreamKind<ConversationChangeEvent>({
  types: Object.values(conversationChangeTypes),
  // One's own coming and going, or another's.
  sideOf: (change, userId) => (change.subjectId === userId ? 'own' : 'others'),
  toEvent(change, delivery, side) {
    const type = typeFor(change, side === 'own');
    return type && { type, ...delivery, change: change as Change<ConversationChanged> };
  },
});

function typeFor(change: Change, own: boolean): EventType | undefined {
  if (change.type === created) return 'JOINED';
  if (change.type === updated) return 'UPDATED';
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
): Promise<ChangeStream<ConversationChangeEvent>> {
  return openStream(deps, viewer, connection, { kind: conversationStream, conversationId: null, after });
}
