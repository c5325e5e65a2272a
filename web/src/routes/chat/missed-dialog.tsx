import type { Conversation, User } from '@parley/client';
import { changesOf, type MissedChange } from '@parley/client/changes';
import { peopleOf } from '@parley/client/people';
import { useLanguage } from '../../locales/locale.tsx';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable } from '../../parley.ts';
import { Button } from '../../shell/button.tsx';
import { Dialog } from '../../shell/dialog.tsx';
import { Link } from '../../shell/router.tsx';
import { differencesOf } from './differences.ts';
import { plainText } from './message-text.tsx';
import styles from './missed-dialog.module.css';
import { nameOf } from './names.ts';

/** What was changed in messages that the viewer had read, with the differences. */
export default function MissedDialog({ onClose }: { onClose(): void }) {
  const { missed } = useScreenText();
  const parley = useParley();
  const changes = changesOf(parley);
  const list = useReadable(changes);
  const { conversations } = useReadable(parley.conversations);
  return (
    <Dialog title={missed.title} onClose={onClose}>
      <div className={styles.missed}>
        <p>{missed.lead}</p>
        <ul>
          {list.map((change) => (
            <li key={change.messageId}>
              <Change
                change={change}
                conversation={conversations.find(({ id }) => id === change.conversationId)}
                onOpen={onClose}
              />
            </li>
          ))}
        </ul>
        <Button
          kind="primary"
          onClick={() => {
            void changes.dismiss();
            onClose();
          }}
        >
          {missed.dismiss}
        </Button>
      </div>
    </Dialog>
  );
}

function Change({
  change,
  conversation,
  onOpen,
}: {
  change: MissedChange;
  conversation: Conversation | undefined;
  onOpen(): void;
}) {
  const { missed, pane } = useScreenText();
  const { tag } = useLanguage();
  const { before, after, conversationId, seq, senderId } = change;
  const sender: User | undefined = useReadable(peopleOf(useParley()).user(senderId ?? ''));
  const isEdited = !after.isDeleted && before.text !== after.text;
  const kind = after.isDeleted ? missed.deleted : isEdited ? missed.edited : missed.reacted;
  const [old, current] = [plainText(before.text ?? ''), plainText(after.text ?? '')];
  const emojis = new Set([...Object.keys(before.reactions), ...Object.keys(after.reactions)]);
  const reactions = [...emojis].flatMap((emoji) => {
    const by = (after.reactions[emoji] ?? 0) - (before.reactions[emoji] ?? 0);
    return by === 0 ? [] : [{ emoji, by }];
  });
  return (
    <>
      <Link to={{ name: 'conversation', id: conversationId, seq }} className={styles.head} onClick={onOpen}>
        <strong>
          <bdi>{sender?.displayName ?? pane.system.somebody}</bdi>
        </strong>
        <span>
          {kind}
          {conversation?.kind === 'GROUP' && (
            <>
              {' · '}
              <bdi>{nameOf(conversation)}</bdi>
            </>
          )}
        </span>
      </Link>
      <p dir="auto">
        {after.isDeleted ? (
          <del>{old}</del>
        ) : isEdited ? (
          differencesOf(old, current, tag).map(({ text, kind: part, at }) =>
            part === 'removed' ? <del key={at}>{text}</del> : part === 'added' ? <ins key={at}>{text}</ins> : text,
          )
        ) : (
          current
        )}
      </p>
      {reactions.length > 0 && !after.isDeleted && (
        <p className={styles.reactions}>
          {reactions.map(({ emoji, by }) => (
            <span key={emoji}>
              {emoji} <bdi>{by > 0 ? `+${by}` : by}</bdi>
            </span>
          ))}
        </p>
      )}
    </>
  );
}
