import { useEffect, useState } from 'react';
import { useIdentity } from '../../encryption/identity.ts';
import type { Encryption } from '../../encryption/types.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useViewer } from '../../parley.ts';
import { Button } from '../../shell/button.tsx';
import { Dialog } from '../../shell/dialog.tsx';
import { Icon } from '../../shell/icon.tsx';
import { useTask } from '../../shell/use-task.ts';
import styles from './encryption.module.css';
import { Step } from './step.tsx';
import { useUserName } from './use-user-name.ts';

/** Compares the security code with a user, and accepts a new one. */
export function VerifyDialog({ encryption, userId }: { encryption: Encryption; userId: string }) {
  const isViewer = useViewer()?.user.id === userId;
  return isViewer ? <OwnChange encryption={encryption} /> : <Comparison encryption={encryption} userId={userId} />;
}

function Comparison({ encryption, userId }: { encryption: Encryption; userId: string }) {
  const { app, encryption: text } = useScreenText();
  const name = useUserName(userId);
  const identity = useIdentity(encryption, userId);
  const { isBusy, run } = useTask();
  const [code, setCode] = useState<string>();
  const [isDifferent, setDifferent] = useState(false);
  /** Whether the user has done something here. What had the focus can be gone then. */
  const [hasBegun, setBegun] = useState(false);
  const close = () => encryption.closeDialog();
  const isChanged = identity?.isChanged ?? false;
  const act = (work: () => Promise<void>) => {
    setBegun(true);
    void run(work);
  };
  const { newIdentityKey } = identity ?? {};
  useEffect(() => {
    void encryption.meet(userId);
  }, [encryption, userId]);
  useEffect(() => {
    if (!identity?.identityKey) return;
    encryption.securityCode(userId).then(setCode, () => setCode(undefined));
  }, [encryption, userId, identity]);
  const title = isChanged ? text.changedTitle : text.verifyTitle;
  if (!identity || name === undefined || (identity.identityKey && code === undefined)) {
    return (
      <Dialog title={text.verifyTitle} onClose={close}>
        <p className={styles.step} role="status">
          {app.loading}
        </p>
      </Dialog>
    );
  }
  if (!identity.identityKey) {
    return (
      <Dialog title={title} onClose={close}>
        <p className={styles.step}>{text.unknownCode(name)}</p>
      </Dialog>
    );
  }
  if (isDifferent) {
    return (
      <Dialog title={text.differentTitle} onClose={close}>
        <Step>
          <p>{text.differentText(name)}</p>
          <div className={styles.actions}>
            <Button onClick={() => setDifferent(false)}>{app.back}</Button>
            <Button kind="primary" onClick={close}>
              {text.done}
            </Button>
          </div>
        </Step>
      </Dialog>
    );
  }
  return (
    <Dialog title={title} onClose={close}>
      <Step key={`${isChanged} ${identity.isVerified}`} isFirst={!hasBegun}>
        {isChanged && <p className={styles.warning}>{text.changedText(name)}</p>}
        {!isChanged && identity.isVerified && (
          <p className={styles.verified}>
            <Icon name="shield" />
            {text.verified(name)}
          </p>
        )}
        <p>{text.compareText(name)}</p>
        <p className={styles.code} dir="ltr" translate="no">
          {code?.split(' ').map((group, at) => (
            <span key={at}>{group} </span>
          ))}
        </p>
        <div className={styles.actions}>
          {!isChanged && identity.isVerified ? (
            <Button busy={isBusy} onClick={() => act(() => encryption.verify(userId, false))}>
              {text.withdraw}
            </Button>
          ) : (
            <>
              {newIdentityKey && (
                <Button kind="quiet" busy={isBusy} onClick={() => act(() => encryption.accept(userId, newIdentityKey))}>
                  {text.acceptUnverified}
                </Button>
              )}
              <Button
                onClick={() => {
                  setBegun(true);
                  setDifferent(true);
                }}
              >
                {text.noMatch}
              </Button>
              <Button
                kind="primary"
                busy={isBusy}
                onClick={() =>
                  act(async () => {
                    if (newIdentityKey) await encryption.accept(userId, newIdentityKey);
                    await encryption.verify(userId, true);
                  })
                }
              >
                {text.match}
              </Button>
            </>
          )}
        </div>
      </Step>
    </Dialog>
  );
}

/** The viewer's own identity is another one than that of this browser. */
function OwnChange({ encryption }: { encryption: Encryption }) {
  const { encryption: text } = useScreenText();
  const { isBusy, run } = useTask();
  const close = () => encryption.closeDialog();
  return (
    <Dialog title={text.ownChangedTitle} onClose={close}>
      <Step isFirst>
        <p>{text.ownChangedText}</p>
        <ul className={styles.points}>
          <li>
            <Icon name="check" />
            <span>
              <strong>{text.itWasMe}</strong>
              {text.itWasMeText}
            </span>
          </li>
          <li>
            <Icon name="alert" />
            <span>
              <strong>{text.itWasNotMe}</strong>
              {text.itWasNotMeText}
            </span>
          </li>
        </ul>
        <div className={styles.actions}>
          <Button onClick={close}>{text.notNow}</Button>
          <Button
            kind="primary"
            busy={isBusy}
            onClick={() =>
              void run(async () => {
                await encryption.forgetKeys();
                encryption.openSetup();
              })
            }
          >
            {text.itWasMeAction}
          </Button>
        </div>
      </Step>
    </Dialog>
  );
}
