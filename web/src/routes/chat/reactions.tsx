import type { ConversationHandle, Message } from '@parley/client';
import { useCallback, useMemo, useState } from 'react';
import { useText } from '../../locales/locale.tsx';
import { useToast } from '../../shell/toast.tsx';
import styles from './message-row.module.css';

interface Reaction {
  emoji: string;
  count: number;
  isOwn: boolean;
  /** Why it is marked: the emoji could not be opened, or is not encrypted although the message is. */
  mark?: 'unreadable' | 'exposed' | undefined;
}

const markOf = (message: Message | undefined, { protection }: Message['reactions'][number]): Reaction['mark'] => {
  if (typeof protection === 'object') return 'unreadable';
  return message?.protection && !protection ? 'exposed' : undefined;
};

/** The reactions to a message. A toggled reaction is shown immediately, and reverted if the server rejects it. */
export function useReactions(message: Message | undefined, handle: ConversationHandle) {
  const toast = useToast();
  // Presses that the server has not confirmed yet.
  const [pending, setPending] = useState<ReadonlyMap<string, boolean>>(new Map());
  const reactions = useMemo(() => {
    const own = message?.viewerReactions ?? [];
    const shown = (message?.reactions ?? []).map((reaction): Reaction => {
      const { emoji, count } = reaction;
      const wasOwn = own.includes(emoji);
      const isOwn = pending.get(emoji) ?? wasOwn;
      return { emoji, count: count + Number(isOwn) - Number(wasOwn), isOwn, mark: markOf(message, reaction) };
    });
    for (const [emoji, isOwn] of pending) {
      if (isOwn && !shown.some((each) => each.emoji === emoji)) shown.push({ emoji, count: 1, isOwn });
    }
    return shown.filter(({ count }) => count > 0);
  }, [message, pending]);
  const id = message?.id;
  const toggle = useCallback(
    async (emoji: string) => {
      if (id === undefined) return;
      const isAdded = !reactions.some((each) => each.emoji === emoji && each.isOwn);
      setPending((before) => new Map(before).set(emoji, isAdded));
      try {
        await handle.react(id, emoji, isAdded);
      } catch (error) {
        toast((error as Error).message);
      }
      setPending((before) => {
        // A later press of the same emoji is still being sent.
        if (before.get(emoji) !== isAdded) return before;
        const next = new Map(before);
        next.delete(emoji);
        return next;
      });
    },
    [id, reactions, handle, toast],
  );
  return { reactions, toggle };
}

export function Reactions({
  reactions,
  onToggle,
}: {
  reactions: readonly Reaction[];
  /** Undefined if the viewer may not react. */
  onToggle: ((emoji: string) => void) | undefined;
}) {
  const { pane } = useText();
  return (
    <ul className={styles.reactions} aria-label={pane.reactions}>
      {reactions.map(({ emoji, count, isOwn, mark }) => (
        <li key={emoji}>
          <button
            type="button"
            aria-pressed={isOwn}
            aria-label={
              mark === 'unreadable'
                ? `${pane.reactionUnreadable} ${count}`
                : `${emoji} ${count}${mark ? `, ${pane.reactionExposed}` : ''}`
            }
            title={mark && (mark === 'unreadable' ? pane.reactionUnreadable : pane.reactionExposed)}
            data-mark={mark}
            disabled={!onToggle || mark === 'unreadable'}
            onClick={() => onToggle?.(emoji)}
          >
            <span aria-hidden="true">{emoji}</span>
            {count}
          </button>
        </li>
      ))}
    </ul>
  );
}
