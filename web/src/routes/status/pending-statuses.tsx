import { type PendingStatus, statusesOf } from '@parley/client/statuses';
import { useFiles } from '../../files.ts';
import { useScreenText } from '../../locales/screens.ts';
import { UploadProgress } from '../../media/progress.tsx';
import { useParley, useReadable } from '../../parley.ts';
import { Button } from '../../shell/button.tsx';
import styles from './status-strip.module.css';

/** The statuses on their way to the server, with what can be done about those that have failed. */
export function PendingStatuses() {
  const { status: text } = useScreenText();
  const pending = useReadable(statusesOf(useParley()).pending);
  if (pending.length === 0) return null;
  return (
    <ul className={styles.pending} aria-label={text.pending}>
      {pending.map((each) => (
        <li key={each.clientStatusId}>
          <Pending status={each} />
        </li>
      ))}
    </ul>
  );
}

function Pending({ status }: { status: PendingStatus }) {
  const { app, pane, status: text } = useScreenText();
  const statuses = statusesOf(useParley());
  const files = useFiles();
  const { clientStatusId, upload, error, canRetry } = status;
  const reason = error?.code === 'REJECTED' ? text.rejected : error?.message;
  return (
    <>
      {upload && files && upload.state !== 'uploaded' && !error && (
        <span className={styles.file}>
          <UploadProgress upload={upload} files={files} />
        </span>
      )}
      <span className={styles.about}>
        <bdi>{status.text || upload?.filename || text.mediaStatus}</bdi>
        {reason === undefined ? (
          <small role="status">{text.posting}</small>
        ) : (
          <small role="alert" data-failed="">
            {text.failed(reason)}
          </small>
        )}
      </span>
      {error && canRetry && (
        <Button kind="quiet" onClick={() => void statuses.retry(clientStatusId)}>
          {app.retry}
        </Button>
      )}
      {error && (
        <Button kind="quiet" onClick={() => void statuses.discard(clientStatusId)}>
          {pane.discard}
        </Button>
      )}
    </>
  );
}
