import { useState } from 'react';
import type { Encryption } from '../../encryption/types.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useReadable } from '../../parley.ts';
import { Button } from '../../shell/button.tsx';
import { Dialog } from '../../shell/dialog.tsx';
import { useTask } from '../../shell/use-task.ts';
import lists from '../settings/settings.module.css';
import styles from './encryption.module.css';

/** Signs out, and asks whether the keys of this browser are to be deleted as well. */
export default function SignOutDialog({ encryption, onClose }: { encryption: Encryption; onClose(): void }) {
  const { account, encryption: text, pane } = useScreenText();
  const { isKeyPending } = useReadable(encryption.state);
  const { isBusy, run } = useTask();
  const [isErasing, setErasing] = useState(false);
  return (
    <Dialog title={text.signOutTitle} onClose={onClose}>
      <div className={styles.step}>
        {isKeyPending && <p className={styles.warning}>{text.signOutWarning}</p>}
        <label className={lists.check}>
          <input type="checkbox" checked={isErasing} onChange={() => setErasing(!isErasing)} />
          <span>
            {text.eraseKeys}
            <small className={styles.small}>{text.eraseKeysHint}</small>
          </span>
        </label>
        <div className={styles.actions}>
          <Button onClick={onClose}>{pane.cancel}</Button>
          <Button kind="primary" busy={isBusy} onClick={() => void run(() => encryption.signOut({ erase: isErasing }))}>
            {account.signOut}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}
