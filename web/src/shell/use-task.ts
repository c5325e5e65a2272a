import { useState } from 'react';
import { useText } from '../locales/locale.tsx';
import { useToast } from './toast.tsx';

/** Runs one operation at a time, and shows a message if it fails. */
export function useTask() {
  const toast = useToast();
  const { errors } = useText();
  const [isBusy, setBusy] = useState(false);
  const run = async (work: () => Promise<unknown>): Promise<boolean> => {
    if (isBusy) return false;
    setBusy(true);
    try {
      await work();
      return true;
    } catch (thrown) {
      const { code, message } = thrown as { code?: string; message: string };
      toast(code === 'NETWORK' ? errors.unreachable : message);
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { isBusy, run };
}
