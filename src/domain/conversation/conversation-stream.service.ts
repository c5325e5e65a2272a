import type { Deps } from '../../platform/deps.js';
import type { Connection, Viewer } from '../../platform/viewer.js';
import type { Change } from '../../realtime/change.js';
import {
  type ChangeEvent,
  type ChangeStream,
  defineStreamKind,
  type StreamEvent,
} from '../../realtime/change-stream.js';
import { type ConversationChanged, conversationChangeTypes } from './conversation.events.js';
import { openStream } from './open-stream.js';

type EventType = 'JOINED' | 'UPDATED' | 'MEMBER_JOINED' | 'MEMBER_UPDATED' | 'MEMBER_LEFT' | 'LEFT';

/** One event of the `conversations` stream. */
export type ConversationEvent = StreamEvent<EventType, ConversationChanged>;

const { created, updated, memberJoined, memberUpdated, memberLeft } = conversationChangeTypes;

const conversationStream = defineStreamKind<EventType, ConversationChanged>({
  types: Object.values(conversationChangeTypes),
  variantOf: (change, userId) => (change.subjectId === userId ? 'own' : 'others'),
  typeOf: (change, variant) => typeFor(change, variant === 'own'),
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
 * Streams changes of the viewer's conversations and of their members.
 * @throws {ChatError} BAD_USER_INPUT or CURSOR_EXPIRED of `after`.
 */
export function streamConversations(
  deps: Deps,
  viewer: Viewer,
  connection: Connection,
  after: string | null | undefined,
): Promise<ChangeStream<ChangeEvent<EventType, ConversationChanged>>> {
  return openStream(deps, viewer, connection, { kind: conversationStream, conversationId: null, after });
}
