import { changesOf } from '@parley/client/changes';
import { useText } from '../../locales/locale.tsx';
import { useParley, useReadable } from '../../parley.ts';
import { Icon } from '../../shell/icon.tsx';
import { useChat } from './chat-context.ts';
import styles from './missed-notice.module.css';

/**
 * Shows how many messages that the viewer had read were changed while they were away. Above the list of conversations
 * it counts all; above the messages of one it counts those, where the list is not displayed.
 */
export function MissedNotice({ conversationId }: { conversationId?: string }) {
  const { list } = useText();
  const { openMissed } = useChat();
  const changes = useReadable(changesOf(useParley()));
  const { length } = changes.filter((each) => conversationId === undefined || each.conversationId === conversationId);
  if (length === 0) return null;
  return (
    <button
      type="button"
      className={styles.notice}
      data-pane={conversationId === undefined ? undefined : ''}
      aria-haspopup="dialog"
      onClick={openMissed}
    >
      <Icon name="pencil" size={16} />
      <span>{list.missed(length)}</span>
      <Icon name="forward" size={16} />
    </button>
  );
}
