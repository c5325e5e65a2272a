import type { Message } from '@parley/client';
import type { EncryptedMessage, ReportDisclosure } from '@parley/e2ee';
import { useEffect, useId, useRef, useState } from 'react';
import { useEncryption } from '../../encryption/encryption.ts';
import {
  ReportableMessageDocument,
  type ReportableMessageQuery,
  ReportMessageDocument,
} from '../../generated/screens/graphql.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable } from '../../parley.ts';
import { Button } from '../../shell/button.tsx';
import { Dialog } from '../../shell/dialog.tsx';
import { Icon } from '../../shell/icon.tsx';
import { useTimes } from '../../shell/time.ts';
import { useToast } from '../../shell/toast.tsx';
import { useTask } from '../../shell/use-task.ts';
import { reasons } from './reasons.ts';
import styles from './report.module.css';

type Reportable = Extract<NonNullable<ReportableMessageQuery['node']>, { viewerReportedAt: unknown }> & {
  commentMaxChars: number;
};

/** Reports a message to the moderators of the server. */
export default function ReportDialog({ message, onClose }: { message: Message; onClose(): void }) {
  const { app, pane, report: text } = useScreenText();
  const parley = useParley();
  const times = useTimes();
  /** Null if the viewer cannot see the message any more. */
  const [found, setFound] = useState<Reportable | null>();
  const [error, setError] = useState('');
  useEffect(() => {
    parley.request(ReportableMessageDocument, { id: message.id }).then(
      ({ node, serverInfo: { limits } }) =>
        setFound(node && ({ ...node, commentMaxChars: limits.reportCommentMaxChars } as Reportable)),
      ({ message: reason }) => setError(reason),
    );
  }, [parley, message.id]);
  return (
    <Dialog title={pane.report} onClose={onClose}>
      {error !== '' && (
        <p role="alert" className={styles.note}>
          {error}
        </p>
      )}
      {found === undefined && error === '' && (
        <p role="status" className={styles.note}>
          {app.loading}
        </p>
      )}
      {found === null && <p className={styles.note}>{text.gone}</p>}
      {found?.viewerReportedAt && <p className={styles.note}>{text.already(times.full(found.viewerReportedAt))}</p>}
      {found && !found.viewerReportedAt && <Prepared message={found} onClose={onClose} />}
    </Dialog>
  );
}

/** Prepares the report of an encrypted message, which needs the keys of this browser. */
function Prepared({ message, onClose }: { message: Reportable; onClose(): void }) {
  const { report: text } = useScreenText();
  if (message.encrypted) return <Encrypted message={{ ...message, encrypted: message.encrypted }} onClose={onClose} />;
  if (message.deletedAt) return <p className={styles.note}>{text.gone}</p>;
  return <Form message={message} quote={message.text} notice={text.notice} onClose={onClose} />;
}

function Encrypted({ message, onClose }: { message: Reportable & EncryptedMessage; onClose(): void }) {
  const { app, report: text } = useScreenText();
  const encryption = useEncryption();
  if (!encryption) return <Status text={app.loading} />;
  return <Disclosed message={message} encryption={encryption} onClose={onClose} missing={text.noKeys} />;
}

const Status = ({ text }: { text: string }) => (
  <p role="status" className={styles.note}>
    {text}
  </p>
);

function Disclosed({
  message,
  encryption,
  missing,
  onClose,
}: {
  message: Reportable & EncryptedMessage;
  encryption: NonNullable<ReturnType<typeof useEncryption>>;
  missing: string;
  onClose(): void;
}) {
  const { app, report: text } = useScreenText();
  const { status } = useReadable(encryption.state);
  const [disclosed, setDisclosed] = useState<ReportDisclosure>();
  const [isFailed, setFailed] = useState(false);
  const { e2ee } = encryption;
  useEffect(() => {
    if (!e2ee) return;
    e2ee
      .conversation(message.conversation.id)
      .report(message)
      .then(setDisclosed, () => setFailed(true));
  }, [e2ee, message]);
  if (status === 'loading') return <Status text={app.loading} />;
  if (!e2ee) return <Status text={missing} />;
  if (isFailed) return <Status text={text.unreadable} />;
  if (!disclosed) return <Status text={app.loading} />;
  return (
    <Form
      message={message}
      // The text as it will be shown to the moderators, which the server could have replaced by that of another message.
      quote={disclosed.content.text ?? null}
      notice={text.encryptedNotice}
      disclosure={disclosed.disclosure}
      onClose={onClose}
    />
  );
}

function Form({
  message: { id: messageId, commentMaxChars },
  quote,
  notice,
  disclosure,
  onClose,
}: {
  message: Reportable;
  quote: string | null;
  notice: string;
  disclosure?: ReportDisclosure['disclosure'];
  onClose(): void;
}) {
  const { pane, report: text } = useScreenText();
  const parley = useParley();
  const toast = useToast();
  const { run, isBusy } = useTask();
  const id = useId();
  const form = useRef<HTMLFormElement>(null);
  const [isMissing, setMissing] = useState(false);
  async function submit() {
    const data = new FormData(form.current as HTMLFormElement);
    const reason = reasons.find((each) => each === data.get('reason'));
    setMissing(!reason);
    if (!reason) {
      form.current?.querySelector('input')?.focus();
      return;
    }
    const comment = String(data.get('comment'));
    const isSent = await run(() =>
      parley.request(ReportMessageDocument, {
        input: { messageId, reason, comment, ...(disclosure && { disclosure }) },
      }),
    );
    if (!isSent) return;
    onClose();
    toast(text.sent);
  }
  return (
    <form
      ref={form}
      className={styles.form}
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      {quote !== null && (
        <blockquote className={styles.quote} dir="auto">
          {quote}
        </blockquote>
      )}
      <p className={styles.notice}>
        <Icon name={disclosure ? 'lock' : 'info'} size={18} />
        {notice}
      </p>
      <fieldset
        className={styles.reasons}
        aria-invalid={isMissing ? true : undefined}
        aria-describedby={isMissing ? `${id}-missing` : undefined}
      >
        <legend>{text.why}</legend>
        {reasons.map((reason) => (
          <label key={reason}>
            <input type="radio" name="reason" value={reason} onChange={() => setMissing(false)} />
            {text.reasons[reason]}
          </label>
        ))}
        {isMissing && (
          <p id={`${id}-missing`} role="alert" className={styles.error}>
            {text.chooseReason}
          </p>
        )}
      </fieldset>
      <div className={styles.comment}>
        <label htmlFor={`${id}-comment`}>{text.comment}</label>
        <textarea id={`${id}-comment`} name="comment" rows={3} maxLength={commentMaxChars} dir="auto" />
      </div>
      <div className={styles.buttons}>
        <Button onClick={onClose}>{pane.cancel}</Button>
        <Button kind="danger" type="submit" busy={isBusy}>
          {text.send}
        </Button>
      </div>
    </form>
  );
}
