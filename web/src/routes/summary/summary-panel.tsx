import type { Conversation, ParleyError } from '@parley/client';
import { lazy, Suspense, useCallback, useEffect, useRef, useState } from 'react';
import { useReadyEncryption } from '../../encryption/ready.ts';
import {
  MessageChangesDocument,
  SummariesDocument,
  type SummaryFieldsFragment,
  SummaryProgressDocument,
} from '../../generated/screens/graphql.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useServerInfo } from '../../parley.ts';
import { SidePanel } from '../../shell/side-panel.tsx';
import styles from './summary-panel.module.css';
import { SummaryStart } from './summary-start.tsx';
import { Summary } from './summary-view.tsx';

const EncryptedSummary = lazy(() => import('./encrypted-summary.tsx'));

const RECENT_MESSAGES = 100;
/**
 * How long after a change of messages the summaries are fetched again, in milliseconds: changes often follow each
 * other.
 */
const REFETCH_MS = 300;

type Range = 'unread' | 'recent' | 'all';

/** Summarizes messages of a conversation, and shows earlier summaries. */
export default function SummaryPanel({
  conversation,
  firstUnread,
  onPoints,
  onJump,
  onClose,
}: {
  conversation: Conversation;
  /** The `seq` of the first message that was unread when the conversation was opened. */
  firstUnread: number | undefined;
  /** Called with the messages of the newest summary, and with none when the panel is closed. */
  onPoints(seqs: readonly number[]): void;
  onJump(seq: number): void;
  onClose(): void;
}) {
  const { summary: text } = useScreenText();
  const { id, latestSeq } = conversation;
  const encryption = useReadyEncryption();
  // The server cannot read its messages.
  const isEncrypted = conversation.encryption === 'END_TO_END';
  const info = useServerInfo();
  const [range, setRange] = useState<Range>(firstUnread === undefined ? 'recent' : 'unread');
  const summaries = useSummaries(id);
  const { progress, error, start } = useProgress(id, summaries.refetch);
  const from = { unread: firstUnread ?? 1, recent: Math.max(1, latestSeq - RECENT_MESSAGES + 1), all: 1 };
  const ranges: Range[] = [
    ...(firstUnread === undefined ? [] : (['unread'] as const)),
    'recent',
    ...(latestSeq <= (info?.limits.summaryMessagesMax ?? 0) ? (['all'] as const) : []),
  ];
  const isBusy = progress !== undefined;
  const newest = summaries.list?.[0];
  useEffect(() => {
    if (isEncrypted) return;
    onPoints((newest?.highlights ?? []).flatMap(({ messages }) => messages.map(({ seq }) => seq)));
    return () => onPoints([]);
  }, [isEncrypted, newest, onPoints]);
  return (
    <SidePanel title={text.title} onClose={onClose}>
      <fieldset className={styles.ranges} aria-label={text.range}>
        {ranges.map((each) => (
          <label key={each}>
            <input type="radio" name="range" value={each} checked={range === each} onChange={() => setRange(each)} />
            {text.ranges[each]}
          </label>
        ))}
      </fieldset>
      {isEncrypted ? (
        <Suspense>
          {encryption && (
            <EncryptedSummary
              encryption={encryption}
              conversation={conversation}
              fromSeq={from[range]}
              onPoints={onPoints}
              onJump={onJump}
            />
          )}
        </Suspense>
      ) : (
        <>
          {info?.features.includes('writtenSummaries') && <p className={styles.note}>{text.modelReads}</p>}
          <SummaryStart
            progress={progress}
            error={error}
            isDisabled={latestSeq === 0}
            onStart={() => start(from[range], latestSeq)}
          />
        </>
      )}
      {!isEncrypted && summaries.list?.length === 0 && !isBusy && <p className={styles.none}>{text.none}</p>}
      {summaries.list?.map((summary, index) => (
        <Summary
          key={summary.id}
          summary={summary}
          isOpen={index === 0 && !isEncrypted}
          onJump={onJump}
          onRenew={isBusy || isEncrypted ? undefined : () => start(summary.fromSeq, summary.toSeq)}
        />
      ))}
    </SidePanel>
  );
}

/** The last summaries of a conversation. They are fetched again when a message is edited or deleted. */
function useSummaries(id: string) {
  const parley = useParley();
  const [list, setList] = useState<SummaryFieldsFragment[]>();
  const refetch = useCallback(async () => {
    try {
      const { conversation } = await parley.request(SummariesDocument, { id });
      setList(conversation?.summaries?.nodes ?? []);
    } catch {
      // Those that are shown remain.
    }
  }, [parley, id]);
  useEffect(() => {
    void refetch();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = parley.subscribe(
      MessageChangesDocument,
      { conversationId: id },
      {
        next({ messages: { type } }) {
          if (!['EDITED', 'DELETED', 'ERASED'].includes(type)) return;
          clearTimeout(timer);
          timer = setTimeout(() => void refetch(), REFETCH_MS);
        },
      },
    );
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [parley, id, refetch]);
  return { list, refetch };
}

/** A summary that is being made. */
function useProgress(conversationId: string, onDone: () => Promise<void>) {
  const parley = useParley();
  const [progress, setProgress] = useState<number>();
  const [error, setError] = useState<string>();
  const stop = useRef(() => {});
  useEffect(() => () => stop.current(), []);
  const start = (fromSeq: number, toSeq: number) => {
    stop.current();
    setError(undefined);
    setProgress(0);
    stop.current = parley.subscribe(
      SummaryProgressDocument,
      { conversationId, fromSeq, toSeq },
      {
        next({ summaryProgress }) {
          setProgress(summaryProgress.progress);
          if (summaryProgress.summary) void onDone().then(() => setProgress(undefined));
        },
        error({ message }: ParleyError) {
          setError(message);
          setProgress(undefined);
        },
        complete() {},
      },
    );
  };
  return { progress, error, start };
}
