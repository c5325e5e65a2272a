import { type ReactNode, useState } from 'react';
import type { AddedMember } from '../../encryption/record.ts';
import type { Encryption } from '../../encryption/types.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable, useViewer } from '../../parley.ts';
import { Button, IconButton } from '../../shell/button.tsx';
import { Icon } from '../../shell/icon.tsx';
import { nameOf } from '../chat/names.ts';
import styles from './notices.module.css';
import { useUserName } from './use-user-name.ts';

/** What the user has to see, one after the other. */
export function Notices({ encryption }: { encryption: Encryption }) {
  const { status, isKeyPending } = useReadable(encryption.state);
  const dialog = useReadable(encryption.dialog);
  const [changed] = useReadable(encryption.changes);
  const [disputed] = useReadable(encryption.disputes);
  const added = useReadable(encryption.added);
  const [isLater, setLater] = useState(false);
  const first = added[0]?.conversationId;
  const isShown = status === 'ready' && dialog === undefined;
  return (
    <div role="status" className={styles.place}>
      {isShown &&
        (isKeyPending && !isLater ? (
          <KeyNotice encryption={encryption} onClose={() => setLater(true)} />
        ) : changed !== undefined ? (
          <ChangeNotice key={changed} encryption={encryption} userId={changed} />
        ) : disputed !== undefined ? (
          <DisputeNotice key={disputed} encryption={encryption} userId={disputed} />
        ) : first !== undefined ? (
          <AddedNotice
            key={first}
            encryption={encryption}
            conversationId={first}
            added={added.filter(({ conversationId }) => conversationId === first)}
          />
        ) : null)}
    </div>
  );
}

function NoticeBox({ text, children, onClose }: { text: ReactNode; children?: ReactNode; onClose(): void }) {
  const { app } = useScreenText();
  return (
    <div className={styles.notice}>
      <Icon name="lock" />
      <div>
        <p>{text}</p>
        {children}
      </div>
      <IconButton label={app.close} onClick={onClose}>
        <Icon name="close" size={18} />
      </IconButton>
    </div>
  );
}

function KeyNotice({ encryption, onClose }: { encryption: Encryption; onClose(): void }) {
  const { encryption: text } = useScreenText();
  return (
    <NoticeBox text={text.keyPending} onClose={onClose}>
      <Button kind="primary" aria-haspopup="dialog" onClick={() => encryption.openSetup()}>
        {text.saveKey}
      </Button>
    </NoticeBox>
  );
}

function ChangeNotice({ encryption, userId }: { encryption: Encryption; userId: string }) {
  const { encryption: text } = useScreenText();
  const isViewer = useViewer()?.user.id === userId;
  const name = useUserName(userId);
  if (name === undefined) return null;
  return (
    <NoticeBox text={isViewer ? text.ownChanged : text.changed(name)} onClose={() => encryption.seeChange(userId)}>
      <Button
        kind="primary"
        aria-haspopup="dialog"
        onClick={() => {
          encryption.seeChange(userId);
          encryption.openVerification(userId);
        }}
      >
        {text.review}
      </Button>
    </NoticeBox>
  );
}

function DisputeNotice({ encryption, userId }: { encryption: Encryption; userId: string }) {
  const { encryption: text } = useScreenText();
  const name = useUserName(userId);
  if (name === undefined) return null;
  return <NoticeBox text={text.disputed(name)} onClose={() => encryption.seeDispute(userId)} />;
}

function AddedNotice({
  encryption,
  conversationId,
  added,
}: {
  encryption: Encryption;
  conversationId: string;
  added: readonly AddedMember[];
}) {
  const { encryption: text } = useScreenText();
  const { conversations } = useReadable(useParley().conversations);
  const conversation = conversations.find(({ id }) => id === conversationId);
  const title = conversation ? nameOf(conversation) : '';
  const [first, ...others] = added;
  const name = useUserName(first?.userId ?? '');
  if (name === undefined) return null;
  return (
    <NoticeBox
      text={others.length === 0 ? text.added(name, title) : text.addedSeveral(added.length, title)}
      onClose={() => encryption.seeAdded(conversationId)}
    />
  );
}
