import { type CallPage, callsOf } from '@parley/client/calls';
import { useEffect, useState } from 'react';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable, useViewer } from '../../parley.ts';
import { Button, IconButton } from '../../shell/button.tsx';
import { CallIcon } from '../../shell/call-icon.tsx';
import { useTimes } from '../../shell/time.ts';
import styles from './call.module.css';
import { describeCall } from './describe-call.ts';
import { useCallTask } from './use-call-task.tsx';

const FIRST = 5;
const MORE = 20;

/** The calls of a conversation, newest first, with buttons to call back. */
export default function CallHistory({ conversationId, canCall }: { conversationId: string; canCall: boolean }) {
  const text = useScreenText();
  const times = useTimes();
  const calls = callsOf(useParley());
  const ownId = useViewer()?.user.id;
  const live = useReadable(calls.live);
  const [page, setPage] = useState<CallPage>();
  const { run, explanation } = useCallTask();
  const liveCount = live.filter((call) => call.conversationId === conversationId).length;
  useEffect(() => {
    let isCurrent = true;
    calls.history({ conversationId, first: FIRST }).then(
      (loaded) => isCurrent && setPage(loaded),
      () => {},
    );
    return () => {
      isCurrent = false;
    };
  }, [calls, conversationId, liveCount]);
  const loadMore = async () => {
    const next = await calls.history({ conversationId, after: page?.after, first: MORE });
    setPage({ calls: [...(page?.calls ?? []), ...next.calls], after: next.after });
  };
  const over = page?.calls.filter(({ state }) => state === 'ENDED') ?? [];
  if (over.length === 0) return null;
  return (
    <section className={styles.history} aria-label={text.call.history}>
      <h2>{text.call.history}</h2>
      <ul>
        {over.map((call) => {
          const { icon, label, isMissed } = describeCall(text, call, ownId);
          const when = times.full(call.startedAt);
          return (
            <li key={call.id} data-missed={isMissed ? '' : undefined}>
              <CallIcon name={icon} size={18} />
              <span>
                <strong>{label}</strong>
                <time dateTime={call.startedAt}>{when}</time>
              </span>
              {canCall && liveCount === 0 && (
                <IconButton
                  label={text.call.callBackNamed(when)}
                  onClick={() => void run(() => calls.start(conversationId, call.kind as 'VOICE' | 'VIDEO'))}
                >
                  <CallIcon name={call.kind === 'VIDEO' ? 'video' : 'phone'} size={18} />
                </IconButton>
              )}
            </li>
          );
        })}
      </ul>
      {page?.after !== undefined && (
        <Button kind="quiet" onClick={() => void run(loadMore)}>
          {text.list.more}
        </Button>
      )}
      {explanation}
    </section>
  );
}
