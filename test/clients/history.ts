import type { HistoryQuery, MessageFieldsFragment } from '../generated/graphql.js';

/** The history with this message: in its own place or that of its optimistic copy, else at the end. */
export function withMessage(history: HistoryQuery, message: MessageFieldsFragment): HistoryQuery {
  const { conversation } = history;
  if (!conversation?.messages) return history;
  const isSame = ({ id, clientMessageId }: MessageFieldsFragment) =>
    id === message.id || (clientMessageId !== null && clientMessageId === message.clientMessageId);
  const others = conversation.messages.nodes.filter((node) => !isSame(node));
  const nodes = [...others, message].sort((a, b) => a.seq - b.seq);
  return { ...history, conversation: { ...conversation, messages: { ...conversation.messages, nodes } } };
}
