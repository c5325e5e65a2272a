import { useState } from 'react';
import { useScreenText } from '../locales/screens.ts';
import { useParley } from '../parley.ts';
import { deviceOf } from './device.ts';

/** Switches on the pushes of this browser. `error` is the reason if that has failed. */
export function useTurnOn(onDone: () => void = () => {}) {
  const { push } = useScreenText();
  const device = deviceOf(useParley());
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  const turnOn = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await device.turnOn();
      if (device.state.value === 'on') onDone();
    } catch (thrown) {
      // The messages of DOMExceptions are those of browsers for developers.
      setError(thrown instanceof DOMException ? push.failed : (thrown as Error).message);
    }
    setBusy(false);
  };
  return { turnOn: () => void turnOn(), isBusy, error };
}
