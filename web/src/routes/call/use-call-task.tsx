import { MediaError } from '@parley/client/calls';
import { useState } from 'react';
import { useScreenText } from '../../locales/screens.ts';
import { Dialog } from '../../shell/dialog.tsx';
import { useToast } from '../../shell/toast.tsx';
import styles from './call.module.css';
import { problemText } from './describe-call.ts';

/** Starts or answers calls, one at a time, and explains what is wrong with a microphone or with the call. */
export function useCallTask() {
  const text = useScreenText();
  const toast = useToast();
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<MediaError>();
  const run = async (work: () => Promise<unknown>): Promise<void> => {
    if (isBusy) return;
    setBusy(true);
    try {
      await work();
    } catch (thrown) {
      const { code, reason, message } = thrown as { code?: string; reason?: string; message: string };
      if (thrown instanceof MediaError) setProblem(thrown);
      else if (reason === 'ANSWERED_ELSEWHERE') toast(text.call.answeredElsewhere);
      else if (reason === 'CALL_ENDED') toast(text.call.ended.HUNG_UP);
      else if (reason === 'IN_ANOTHER_CALL') toast(text.call.inAnotherCall);
      else toast(code === 'NETWORK' ? text.errors.unreachable : message);
    } finally {
      setBusy(false);
    }
  };
  const explanation = problem && (
    <Dialog title={text.call.problemTitle} onClose={() => setProblem(undefined)}>
      <p className={styles.explanation}>{problemText(text, problem)}</p>
    </Dialog>
  );
  return { isBusy, run, explanation };
}
