import { type ReactNode, useState } from 'react';
import type { Encryption } from '../../encryption/types.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useReadable } from '../../parley.ts';
import { Button } from '../../shell/button.tsx';
import { Dialog } from '../../shell/dialog.tsx';
import { Icon } from '../../shell/icon.tsx';
import { useTask } from '../../shell/use-task.ts';
import styles from './encryption.module.css';
import { Check, useRecoveryKey, Words } from './key-steps.tsx';
import { RecoveryForm } from './recovery-form.tsx';
import { Step } from './step.tsx';

/** Sets up encryption for the account, or recovers it in this browser. */
export function SetupDialog({ encryption, isRecovering = false }: { encryption: Encryption; isRecovering?: boolean }) {
  const { app, encryption: text } = useScreenText();
  const { status, isKeyPending } = useReadable(encryption.state);
  const words = useRecoveryKey(encryption, isKeyPending);
  const [isChecking, setChecking] = useState(false);
  const [isLost, setLost] = useState(false);
  const [isEntering, setEntering] = useState(isRecovering);
  /** Whether the dialog has shown another step before. */
  const [hasBegun, setBegun] = useState(false);
  const isFirst = !hasBegun;
  /** Whether the dialog has begun with the explanation, which is the first of three steps. */
  const [isSetUp, setSetUp] = useState(false);
  const close = () => encryption.closeDialog();
  const after = (work: () => void) => {
    setBegun(true);
    work();
  };

  function step(): [title: string, content: ReactNode] {
    if (status === 'ready' && isKeyPending) {
      if (!words) return [text.keyTitle, <Text key="loading" text={app.loading} />];
      return isChecking
        ? [
            text.checkTitle,
            <Check
              key="check"
              encryption={encryption}
              words={words}
              isSetUp={isSetUp}
              onBack={() => setChecking(false)}
            />,
          ]
        : [
            text.keyTitle,
            <Words
              key="words"
              words={words}
              isFirst={isFirst}
              isSetUp={isSetUp}
              onNext={() => after(() => setChecking(true))}
            />,
          ];
    }
    if (status === 'ready' && isEntering) {
      return [
        text.recoverTitle,
        <RecoveryForm key="again" encryption={encryption} isFirst onDone={() => after(() => setEntering(false))} />,
      ];
    }
    if (status === 'ready') return [text.readyTitle, <Ready key="ready" onClose={close} />];
    if (status === 'needsRecovery') {
      return isLost
        ? [text.lostTitle, <Lost key="lost" encryption={encryption} onBack={() => setLost(false)} />]
        : [
            text.recoverTitle,
            <RecoveryForm
              key="recover"
              encryption={encryption}
              isFirst={isFirst}
              onLost={() => after(() => setLost(true))}
            />,
          ];
    }
    if (status === 'notSetUp') {
      return [
        text.setUpTitle,
        <Explanation
          key="explanation"
          encryption={encryption}
          onNext={() => after(() => setSetUp(true))}
          onClose={close}
        />,
      ];
    }
    return [text.title, <Text key={status} text={text.statuses[status]} />];
  }

  const [title, content] = step();
  return (
    <Dialog title={title} onClose={close}>
      {content}
    </Dialog>
  );
}

function Text({ text }: { text: string }) {
  return (
    <p className={styles.step} role="status">
      {text}
    </p>
  );
}

/** What the set-up explains, by the names of the icons. */
const points = ['people', 'lock', 'alert'] as const;

function Explanation({ encryption, onNext, onClose }: { encryption: Encryption; onNext(): void; onClose(): void }) {
  const { encryption: text } = useScreenText();
  const { isBusy, run } = useTask();
  return (
    <Step isFirst>
      <p className={styles.count}>{text.stepOf(1, 3)}</p>
      <ul className={styles.points}>
        {points.map((point) => (
          <li key={point}>
            <Icon name={point} />
            <span>
              <strong>{text.points[point].title}</strong>
              {text.points[point].text}
            </span>
          </li>
        ))}
      </ul>
      <div className={styles.actions}>
        <Button onClick={onClose}>{text.notNow}</Button>
        <Button
          kind="primary"
          busy={isBusy}
          autoFocus
          onClick={() => {
            onNext();
            void run(() => encryption.setUp());
          }}
        >
          {text.next}
        </Button>
      </div>
    </Step>
  );
}

/** What is lost with the recovery key. */
function Lost({ encryption, onBack }: { encryption: Encryption; onBack(): void }) {
  const { app, encryption: text } = useScreenText();
  const { isBusy, run } = useTask();
  return (
    <Step>
      <p>{text.lostText}</p>
      <ul className={styles.points}>
        {text.lostPoints.map((point) => (
          <li key={point}>
            <Icon name="alert" />
            <span>{point}</span>
          </li>
        ))}
      </ul>
      <div className={styles.actions}>
        <Button onClick={onBack}>{app.back}</Button>
        <Button kind="danger" busy={isBusy} onClick={() => void run(() => encryption.setUp(true))}>
          {text.startAgain}
        </Button>
      </div>
    </Step>
  );
}

function Ready({ onClose }: { onClose(): void }) {
  const { encryption: text } = useScreenText();
  return (
    <Step>
      <p className={styles.done}>
        <Icon name="lock" size={32} />
        {text.readyText}
      </p>
      <div className={styles.actions}>
        <Button kind="primary" onClick={onClose}>
          {text.done}
        </Button>
      </div>
    </Step>
  );
}
