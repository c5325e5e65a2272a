/** An event of the stream `messages`, with the fields by which it is written into lists. */
export interface MessageEvent {
  messageId?: string | null;
  /** Null for ERASED, CAUGHT_UP and CHECKPOINT. */
  message?: {
    id: string;
    seq: number;
    clientMessageId?: string | null;
    conversation: { id: string };
  } | null;
}

/**
 * Where a message that is not in a list has to be inserted.
 * @param seqs the messages of the list, in ascending order.
 * @param hasLater whether there are newer messages that the list does not contain.
 * @returns undefined if the message is older or newer than the part of the history that the list contains.
 */
export function indexFor(seqs: readonly number[], seq: number, hasLater: boolean): number | undefined {
  const index = seqs.findIndex((each) => each > seq);
  if (index > 0) return index;
  // An empty list, or the end of one that contains the newest messages.
  return index < 0 && !hasLater ? seqs.length : undefined;
}
