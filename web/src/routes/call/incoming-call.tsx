import { type Call, callsOf } from '@parley/client/calls';
import { notificationsOf } from '@parley/client/notifications';
import { useEffect, useId, useRef } from 'react';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable } from '../../parley.ts';
import { Avatar } from '../../shell/avatar.tsx';
import { Button } from '../../shell/button.tsx';
import { CallIcon } from '../../shell/call-icon.tsx';
import { nameOf } from '../chat/names.ts';
import styles from './call.module.css';
import { ring } from './ring.ts';
import { useCallTask } from './use-call-task.tsx';

/** Asks the user whether to answer a call. It is open as long as it rings, in all tabs. */
export function IncomingCall({ call }: { call: Call }) {
  const { call: text } = useScreenText();
  const parley = useParley();
  const calls = callsOf(parley);
  const notifications = notificationsOf(parley);
  const { conversation } = useReadable(parley.conversation(call.conversationId));
  const isQuiet = useReadable(notifications.isQuiet);
  const { isSilent } = useReadable(notifications.level(call.conversationId));
  const current = useReadable(calls.current);
  const { run, isBusy, explanation } = useCallTask();
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const isAudible = !isQuiet && !isSilent && current?.state !== 'connected';
  useEffect(() => (isAudible ? ring(call.id) : undefined), [call.id, isAudible]);
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  const { startedBy, kind, sfu } = call;
  const isVideo = kind === 'VIDEO';
  const title = conversation && !conversation.counterpart ? nameOf(conversation) : undefined;
  const isBetweenCalls = current !== undefined && current.state !== 'ended';
  const answer = (camera: boolean) => void run(() => calls.accept(call.id, { camera }));
  const decline = () => void run(() => calls.decline(call.id));
  return (
    <dialog
      ref={dialog}
      role="alertdialog"
      className={styles.incoming}
      aria-labelledby={`${id}-title`}
      aria-describedby={`${id}-text`}
      // Escape must not decline by accident: the user chooses.
      onCancel={(event) => event.preventDefault()}
      // Browsers do not always let a page prevent it.
      onClose={(event) => {
        if (event.target === event.currentTarget && event.currentTarget.isConnected) event.currentTarget.showModal();
      }}
    >
      <Avatar name={startedBy.displayName} id={startedBy.id} url={startedBy.avatarUrl} size={72} />
      <h2 id={`${id}-title`}>
        <bdi>{startedBy.displayName}</bdi>
      </h2>
      <p id={`${id}-text`}>
        {isVideo ? text.incomingVideo : text.incomingVoice}
        {title !== undefined && (
          <>
            {' · '}
            <bdi>{title}</bdi>
          </>
        )}
        {sfu ? <small>{text.tooLarge}</small> : isBetweenCalls && <small>{text.endsCurrent}</small>}
      </p>
      <div className={styles.choices}>
        <Button kind="danger" onClick={decline} autoFocus={sfu != null}>
          <CallIcon name="hangUp" /> {text.decline}
        </Button>
        {!sfu && isVideo && (
          <Button busy={isBusy} onClick={() => answer(false)}>
            <CallIcon name="phone" /> {text.answerVoice}
          </Button>
        )}
        {!sfu && (
          <Button kind="primary" busy={isBusy} autoFocus onClick={() => answer(isVideo)}>
            <CallIcon name={isVideo ? 'video' : 'phone'} /> {isVideo ? text.answerVideo : text.answer}
          </Button>
        )}
      </div>
      {explanation}
    </dialog>
  );
}
