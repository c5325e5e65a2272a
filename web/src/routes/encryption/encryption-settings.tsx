import { useState } from 'react';
import { useEncryption } from '../../encryption/encryption.ts';
import type { Encryption } from '../../encryption/types.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useReadable } from '../../parley.ts';
import { Button } from '../../shell/button.tsx';
import { Confirm } from '../../shell/confirm.tsx';
import { useTask } from '../../shell/use-task.ts';
import lists from '../settings/settings.module.css';
import { Devices } from './devices.tsx';
import styles from './encryption.module.css';

/** Whether this browser can read encrypted messages, the recovery key, and the devices that can. */
export default function EncryptionSettings() {
  const { app } = useScreenText();
  const encryption = useEncryption();
  return encryption ? <State encryption={encryption} /> : <p role="status">{app.loading}</p>;
}

function State({ encryption }: { encryption: Encryption }) {
  const { app, encryption: text } = useScreenText();
  const { status, isKeyPending } = useReadable(encryption.state);
  const { isBusy, run } = useTask();
  const [isAsking, setAsking] = useState(false);
  if (status === 'loading') return <p role="status">{app.loading}</p>;
  const isReady = status === 'ready';
  return (
    <div className={lists.parts}>
      <div className={styles.state}>
        <p>{isReady && isKeyPending ? text.keyPending : text.statuses[status]}</p>
        {(status === 'notSetUp' || status === 'needsRecovery' || (isReady && isKeyPending)) && (
          <Button kind="primary" aria-haspopup="dialog" onClick={() => encryption.openSetup()}>
            {isReady ? text.saveKey : status === 'notSetUp' ? text.setUp : text.enterKey}
          </Button>
        )}
        {isReady && !isKeyPending && (
          <Button busy={isBusy} aria-haspopup="dialog" onClick={() => setAsking(true)}>
            {text.newKey}
          </Button>
        )}
      </div>
      {isReady && <Devices encryption={encryption} />}
      {isReady && (
        <button type="button" className={styles.link} aria-haspopup="dialog" onClick={() => encryption.openRecovery()}>
          {text.enterChanged}
        </button>
      )}
      {isAsking && (
        <Confirm
          title={text.newKeyTitle}
          text={text.newKeyText}
          action={text.newKey}
          onClose={() => setAsking(false)}
          onConfirm={() => {
            setAsking(false);
            void run(async () => {
              await encryption.changeRecoveryKey();
              encryption.openSetup();
            });
          }}
        />
      )}
    </div>
  );
}
