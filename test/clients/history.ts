import type { HistoryQuery, MessageFieldsFragment } from '../generated/graphql.js';

/** Returns the history with this message, which replaces its older version or optimistic copy, or is inserted by `seq`. */
export function withMessage(history: HistoryQuery, message: MessageFieldsFragment): HistoryQuery {
  const { conversation } = history;
  if (!conversation?.messages) return history;
  const isSame = ({ id, clientMessageId }: MessageFieldsFragment) =>
    id === message.id || (clientMessageId !== null && clientMessageId === message.clientMessageId);
  const shown = conversation.messages.nodes;
  const others = shown.filter((node) => !isSame(node));
  // The message is older than those that are shown: it was edited, or somebody reacted to it.
  if (others.length === shown.length && message.seq < (shown[0]?.seq ?? 0)) return history;
  const nodes = [...others, message].sort((a, b) => a.seq - b.seq);
  return { ...history, conversation: { ...conversation, messages: { ...conversation.messages, nodes } } };
}
