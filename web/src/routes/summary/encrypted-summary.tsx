import type { Conversation } from '@parley/client';
import { useEffect, useRef, useState } from 'react';
import { createHistory, type ReadMessage } from '../../encryption/history.ts';
import type { Encryption } from '../../encryption/types.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useParley } from '../../parley.ts';
import { summarize } from './summarize.ts';
import styles from './summary-panel.module.css';
import { SummaryStart } from './summary-start.tsx';
import { type ShownSummary, Summary } from './summary-view.tsx';

/** Summarizes messages of an encrypted conversation in this browser. The summary is not stored. */
export default function EncryptedSummary({
  encryption,
  conversation: { id, latestSeq },
  fromSeq,
  onPoints,
  onJump,
}: {
  encryption: Encryption;
  conversation: Conversation;
  fromSeq: number;
  onPoints(seqs: readonly number[]): void;
  onJump(seq: number): void;
}) {
  const { errors, summary: text } = useScreenText();
  const parley = useParley();
  const [summary, setSummary] = useState<ShownSummary>();
  const [progress, setProgress] = useState<number>();
  const [error, setError] = useState<string>();
  const isClosed = useRef(false);
  useEffect(() => {
    isClosed.current = false;
    return () => {
      isClosed.current = true;
    };
  }, []);
  useEffect(() => {
    onPoints((summary?.highlights ?? []).flatMap(({ messages }) => messages.map(({ seq }) => seq)));
    return () => onPoints([]);
  }, [summary, onPoints]);

  async function start(): Promise<void> {
    const { e2ee } = encryption;
    if (!e2ee || progress !== undefined) return;
    setError(undefined);
    setProgress(0);
    try {
      const messages: ReadMessage[] = [];
      const wanted = latestSeq - fromSeq + 1;
      for await (const page of createHistory(parley, e2ee).pages(id)) {
        if (isClosed.current) return;
        messages.push(...page.messages.filter(({ seq }) => seq >= fromSeq));
        setProgress(Math.min(1, page.count / wanted));
        if (page.count >= wanted) break;
      }
      setSummary(await summarize(messages.reverse()));
    } catch (thrown) {
      const { code, message } = thrown as { code?: string; message: string };
      setError(code === 'NETWORK' ? errors.unreachable : message);
    } finally {
      setProgress(undefined);
    }
  }

  return (
    <>
      <p className={styles.note}>{text.inBrowser}</p>
      <SummaryStart progress={progress} error={error} isDisabled={latestSeq === 0} onStart={() => void start()} />
      {summary && <Summary summary={summary} isOpen onJump={onJump} onRenew={undefined} />}
    </>
  );
}
