import type { HistoryQuery, MessageFieldsFragment } from '../generated/graphql.js';

/** The history with this message: in its own place or that of its optimistic copy, else where its `seq` belongs. */
export function withMessage(history: HistoryQuery, message: MessageFieldsFragment): HistoryQuery {
  const { conversation } = history;
  if (!conversation?.messages) return history;
  const isSame = ({ id, clientMessageId }: MessageFieldsFragment) =>
    id === message.id || (clientMessageId !== null && clientMessageId === message.clientMessageId);
  const shown = conversation.messages.nodes;
  const others = shown.filter((node) => !isSame(node));
  // Somebody edited, or reacted to, what is further back than what is shown.
  if (others.length === shown.length && message.seq < (shown[0]?.seq ?? 0)) return history;
  const nodes = [...others, message].sort((a, b) => a.seq - b.seq);
  return { ...history, conversation: { ...conversation, messages: { ...conversation.messages, nodes } } };
}
