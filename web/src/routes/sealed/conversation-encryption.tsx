import type { Conversation } from '@parley/client';
import { useEffect, useMemo, useState } from 'react';
import { useEncryption } from '../../encryption/encryption.ts';
import type { Encryption } from '../../encryption/types.ts';
import { MembersWithDevicesDocument } from '../../generated/screens/graphql.ts';
import { constant } from '../../loaded.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable } from '../../parley.ts';
import { Button } from '../../shell/button.tsx';
import { Confirm } from '../../shell/confirm.tsx';
import { Dialog } from '../../shell/dialog.tsx';
import { Icon } from '../../shell/icon.tsx';
import { useTask } from '../../shell/use-task.ts';
import styles from './sealed.module.css';
import { useStatus } from './use-status.ts';

const nobody = constant<Encryption['added']['value']>([]);

/** Whether a conversation is encrypted, and the way to encrypt it. */
export default function ConversationEncryption({ conversation }: { conversation: Conversation }) {
  const { pane, protection: text } = useScreenText();
  const encryption = useEncryption();
  const status = useStatus();
  const task = useTask();
  const [step, setStep] = useState<'setup' | 'confirm'>();
  const { id, kind, visibility, viewerMembership, viewerCanSend } = conversation;
  const isEncrypted = conversation.encryption === 'END_TO_END';
  useEffect(() => {
    // The set-up that was begun from here has ended.
    if (step === 'setup' && status === 'ready') setStep('confirm');
  }, [step, status]);
  const isPossible = kind === 'DIRECT' || visibility === 'PRIVATE';
  if (!viewerMembership || !(isEncrypted || (isPossible && status !== 'off' && status !== 'loading'))) return null;
  const mayTurnOn = kind === 'DIRECT' ? viewerCanSend : ['OWNER', 'ADMIN'].includes(viewerMembership.role);
  const begin = () => {
    if (status === 'ready') return setStep('confirm');
    setStep('setup');
    encryption?.openSetup();
  };
  return (
    <section className={styles.section} aria-labelledby={`encryption-${id}`}>
      <h3 id={`encryption-${id}`}>{text.title}</h3>
      <p>
        <Icon name="lock" size={18} />
        <span>{isEncrypted ? text.on : text.off}</span>
      </p>
      {isEncrypted ? (
        <>
          <Unready conversationId={id} />
          {status === 'ready' && <StartAgain conversationId={id} />}
        </>
      ) : status === 'unsupported' ? (
        <p>{text.unready.unsupported}</p>
      ) : mayTurnOn ? (
        <Button busy={task.isBusy} onClick={begin}>
          {text.turnOn}
        </Button>
      ) : (
        kind !== 'DIRECT' && <p>{text.onlyAdmins}</p>
      )}
      {step === 'confirm' && (
        <Dialog title={text.confirmTitle} onClose={() => setStep(undefined)}>
          <div className={styles.confirm}>
            <p>{text.confirmText}</p>
            <ul>
              {text.changes.map((each) => (
                <li key={each}>{each}</li>
              ))}
            </ul>
            <Unready conversationId={id} />
            <div>
              <Button onClick={() => setStep(undefined)}>{pane.cancel}</Button>
              <Button
                kind="primary"
                busy={task.isBusy}
                autoFocus
                onClick={() =>
                  void task
                    .run(async () => encryption?.e2ee?.conversation(id).enable())
                    .then((isDone) => isDone && setStep(undefined))
                }
              >
                {text.turnOn}
              </Button>
            </div>
          </div>
        </Dialog>
      )}
    </section>
  );
}

/** Failures of a group that can mean that its members do not have the same keys. */
const broken = /^(KEY_UNAVAILABLE|TAMPERED|INVALID_COMMIT)$/;

/** The way to start the encryption again, if the last message could not be opened or sent because of its keys. */
function StartAgain({ conversationId }: { conversationId: string }) {
  const { protection: text } = useScreenText();
  const parley = useParley();
  const encryption = useEncryption();
  const { rows } = useReadable(useMemo(() => parley.conversation(conversationId), [parley, conversationId]));
  const failed = useReadable(parley.outbox).some(
    (entry) => entry.conversationId === conversationId && broken.test(entry.error?.code ?? ''),
  );
  const task = useTask();
  const [isAsking, setAsking] = useState(false);
  const { protection } = rows.findLast(({ message }) => message?.protection)?.message ?? {};
  const isUnreadable = typeof protection === 'object' && broken.test(protection.error);
  if (!failed && !isUnreadable && !isAsking) return null;
  return (
    <>
      <p className={styles.note}>{text.startAgainHint}</p>
      <Button busy={task.isBusy} aria-haspopup="dialog" onClick={() => setAsking(true)}>
        {text.startAgain}
      </Button>
      {isAsking && (
        <Confirm
          title={text.startAgainTitle}
          text={text.startAgainText}
          action={text.startAgain}
          onClose={() => setAsking(false)}
          onConfirm={() => {
            setAsking(false);
            void task.run(async () => {
              await encryption?.e2ee?.conversation(conversationId).reset();
              for (const { clientMessageId, conversationId: of, error } of parley.outbox.value) {
                if (of === conversationId && broken.test(error?.code ?? '')) void parley.outbox.retry(clientMessageId);
              }
            });
          }}
        />
      )}
    </>
  );
}

/** The members who cannot read encrypted messages yet. */
function Unready({ conversationId }: { conversationId: string }) {
  const { protection: text } = useScreenText();
  const parley = useParley();
  const [names, setNames] = useState<readonly string[]>([]);
  // It changes when one of them has set up encryption.
  const added = useReadable(useEncryption()?.added ?? nobody);
  useEffect(() => {
    let isCurrent = true;
    parley.request(MembersWithDevicesDocument, { id: conversationId }).then(
      ({ conversation }) => {
        const users = (conversation?.members?.nodes ?? []).map(({ user }) => user);
        const unready = users.filter(({ devices }) => devices?.length === 0);
        if (isCurrent) setNames(unready.map(({ displayName }) => displayName));
      },
      () => {},
    );
    return () => {
      isCurrent = false;
    };
  }, [parley, conversationId, added]);
  return names.length === 0 ? null : <p className={styles.note}>{text.withoutDevices(names)}</p>;
}
