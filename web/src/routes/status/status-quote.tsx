import type { Row } from '@parley/client';
import { statusesOf } from '@parley/client/statuses';
import { lazy, Suspense, useState } from 'react';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable } from '../../parley.ts';
import { useToast } from '../../shell/toast.tsx';
import { useTask } from '../../shell/use-task.ts';

const StatusViewer = lazy(() => import('./status-viewer.tsx'));

/** What a message says about the status that it replies to, as a button that shows the status as long as it exists. */
export default function StatusQuote({ row, className }: { row: Row; className: string | undefined }) {
  const { status: text } = useScreenText();
  const statuses = statusesOf(useParley());
  const toast = useToast();
  const { run } = useTask();
  const { message, pending, isOwn } = row;
  const waiting = useReadable(statuses.status(pending?.replyToStatusId ?? ''));
  const [shown, setShown] = useState<{ userId: string; statusId: string }>();
  const excerpt = message ? message.statusReply?.excerpt : waiting?.text;
  const open = () =>
    run(async () => {
      const statusId = message ? await statuses.statusOfMessage(message.id) : pending?.replyToStatusId;
      const status = statusId === undefined ? undefined : statuses.status(statusId).value;
      if (status) setShown({ userId: status.author.id, statusId: status.id });
      else toast(text.gone);
    });
  return (
    <>
      <button type="button" className={className} tabIndex={-1} aria-haspopup="dialog" onClick={() => void open()}>
        <strong>{isOwn ? text.repliedTo : text.repliedToYours}</strong>
        <span>{excerpt || text.mediaStatus}</span>
      </button>
      <Suspense>{shown && <StatusViewer {...shown} onClose={() => setShown(undefined)} />}</Suspense>
    </>
  );
}
