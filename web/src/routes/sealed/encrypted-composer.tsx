import type { Conversation } from '@parley/client';
import type { ComponentProps } from 'react';
import { useEncryption } from '../../encryption/encryption.ts';
import { constant } from '../../loaded.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable } from '../../parley.ts';
import { Button } from '../../shell/button.tsx';
import { Icon } from '../../shell/icon.tsx';
import { Composer } from '../chat/composer.tsx';
import { useUserName } from '../encryption/use-user-name.ts';
import styles from './sealed.module.css';
import { useStatus } from './use-status.ts';

const nobody = constant<readonly string[]>([]);

/** The reasons for which nothing more can be sent until the viewer has decided something. */
const blocking = /^(IDENTITY_CHANGED|UNEXPECTED_MEMBER|DOWNGRADED)$/;

/** Where the viewer writes in an encrypted conversation, or what has to be done before. */
export default function EncryptedComposer({
  conversation,
  ...props
}: ComponentProps<typeof Composer> & { conversation: Conversation }) {
  const { pane, protection: text, encryption: account } = useScreenText();
  const encryption = useEncryption();
  const status = useStatus();
  if (status === 'loading' || status === 'ready') {
    return (
      <>
        <Blocked conversation={conversation} />
        <Composer {...props} placeholder={pane.encrypted} />
      </>
    );
  }
  return (
    <section className={styles.unready} aria-label={text.encrypted}>
      <Icon name="lock" />
      <p>{text.unready[status]}</p>
      {(status === 'notSetUp' || status === 'needsRecovery') && (
        <Button kind="primary" onClick={() => encryption?.openSetup()}>
          {status === 'notSetUp' ? account.setUp : account.enterKey}
        </Button>
      )}
    </section>
  );
}

/** Why messages of this conversation are not sent, if the viewer has to decide something. */
function Blocked({ conversation: { id, counterpart } }: { conversation: Conversation }) {
  const { app, protection: text } = useScreenText();
  const { outbox } = useParley();
  const encryption = useEncryption();
  const changes = useReadable(encryption?.changes ?? nobody);
  const failed = useReadable(outbox).filter(({ conversationId, error }) => conversationId === id && error);
  const code = failed.find(({ error }) => blocking.test(error?.code ?? ''))?.error?.code;
  const changedId = counterpart ? changes.find((each) => each === counterpart.id) : changes[0];
  if (code === undefined) return null;
  return (
    <div className={styles.blocked} role="alert">
      <Icon name="alert" />
      <p>
        {code === 'IDENTITY_CHANGED' ? (
          <ChangedIdentity userId={changedId} />
        ) : code === 'DOWNGRADED' ? (
          text.failures.DOWNGRADED
        ) : (
          text.failures.UNEXPECTED_MEMBER
        )}
      </p>
      {code === 'IDENTITY_CHANGED' && changedId !== undefined && (
        <Button onClick={() => encryption?.openVerification(changedId)}>{text.review}</Button>
      )}
      <Button
        kind="quiet"
        onClick={async () => {
          // A change that the user has accepted may still be being stored: the messages would be blocked by it again.
          await encryption?.settled();
          for (const { clientMessageId } of failed) void outbox.retry(clientMessageId);
        }}
      >
        {app.retry}
      </Button>
    </div>
  );
}

function ChangedIdentity({ userId }: { userId: string | undefined }) {
  const { protection: text } = useScreenText();
  const name = useUserName(userId ?? '');
  return userId !== undefined && name ? text.changed(name) : text.failures.IDENTITY_CHANGED;
}
