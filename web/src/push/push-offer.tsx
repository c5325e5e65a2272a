import { useState } from 'react';
import { useScreenText } from '../locales/screens.ts';
import { useParley, useReadable } from '../parley.ts';
import { read, write } from '../preferences.ts';
import { Button, IconButton } from '../shell/button.tsx';
import { Icon } from '../shell/icon.tsx';
import { useToast } from '../shell/toast.tsx';
import { deviceOf } from './device.ts';
import styles from './push-offer.module.css';
import { useTurnOn } from './use-turn-on.ts';

/**
 * Offers to switch on the pushes of this browser, or explains what to do first on an iPhone. It is dismissed for good
 * on this device.
 */
export default function PushOffer() {
  const { app, push } = useScreenText();
  const toast = useToast();
  const state = useReadable(deviceOf(useParley()).state);
  const { turnOn, isBusy, error } = useTurnOn(() => toast(push.isOn));
  const [isDismissed, setDismissed] = useState(() => read('push-offer') === 'dismissed');
  if (isDismissed || (state !== 'off' && state !== 'not-installed')) return null;
  const dismiss = () => {
    write('push-offer', 'dismissed');
    setDismissed(true);
  };
  return (
    <div className={styles.offer}>
      <p role={error ? 'alert' : undefined}>{error ?? (state === 'off' ? push.offer : push.notInstalled)}</p>
      {state === 'off' && (
        <Button kind="primary" busy={isBusy} onClick={turnOn}>
          {push.turnOn}
        </Button>
      )}
      <IconButton label={app.close} onClick={dismiss}>
        <Icon name="close" size={18} />
      </IconButton>
    </div>
  );
}
