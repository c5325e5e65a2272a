import type { Message } from '@parley/client';
import { type ReactNode, useEffect, useState } from 'react';
import { MessageNotifiedDocument, type MessageNotifiedQuery } from '../../generated/screens/graphql.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useParley } from '../../parley.ts';
import { Dialog } from '../../shell/dialog.tsx';
import sections from '../../shell/sections.module.css';
import { useTimes } from '../../shell/time.ts';
import styles from './message-notified.module.css';

type Trace = NonNullable<MessageNotifiedQuery['notificationTrace']>;
type Push = NonNullable<Trace['pushes']>[number];

/** Every known reason has a text. */
type Reason = Exclude<NonNullable<Trace['reason']>, '%future added value'>;

/** The text for a value of an enum, which a newer server may have extended. */
const textOf = (texts: Readonly<Record<string, string>>, value: string | null, other: string): string =>
  texts[value ?? ''] ?? other;

/** Why the viewer was or was not notified of a message, as the server has recorded it. */
export default function MessageNotified({ message, onClose }: { message: Message; onClose(): void }) {
  const { app, pane } = useScreenText();
  const parley = useParley();
  /** Null if the viewer cannot see the message any more. */
  const [trace, setTrace] = useState<Trace | null>();
  const [error, setError] = useState('');
  useEffect(() => {
    parley.request(MessageNotifiedDocument, { id: message.id }).then(
      ({ notificationTrace }) => setTrace(notificationTrace),
      ({ message: reason }) => setError(reason),
    );
  }, [parley, message.id]);
  const isLoading = trace === undefined && error === '';
  return (
    <Dialog title={pane.notified} onClose={onClose}>
      <div className={`${sections.sections} ${styles.notified}`} aria-busy={isLoading}>
        {error !== '' && <p role="alert">{error}</p>}
        {isLoading && <p role="status">{app.loading}</p>}
        {trace !== undefined && <Explanation trace={trace} />}
      </div>
    </Dialog>
  );
}

function Explanation({ trace }: { trace: Trace | null }) {
  const { notified, notifications } = useScreenText();
  const times = useTimes();
  if (!trace) return <p className={styles.answer}>{notified.reasons.NOT_RECORDED}</p>;
  const { outcome, reason, level, mutedUntil, isMention, pushes } = trace;
  const reasons: Record<Reason, string> = notified.reasons;
  const answers = {
    SENT: notified.sent,
    WAITING: notified.waiting,
    NOT_SENT: `${notified.notSent} ${textOf(reasons, reason, notified.otherReason)}`,
  };
  return (
    <>
      <p className={styles.answer}>{textOf(answers, outcome, notified.otherReason)}</p>
      <Section title={notified.settings}>
        <p>
          {notifications.level}: {textOf(notifications.levels, level, level)}
        </p>
        {mutedUntil && <p>{notifications.mutedUntil(times.full(mutedUntil))}</p>}
        {isMention && <p>{notified.mention}</p>}
      </Section>
      {pushes && pushes.length > 0 && (
        <Section title={notified.devices}>
          <ul>
            {pushes.map((push, index) => (
              // A device can have several pushes about a message. Their order does not change.
              <Device key={index} push={push} />
            ))}
          </ul>
        </Section>
      )}
    </>
  );
}

function Device({ push: { pushSubscription, outcome, reason, endedAt, dueAt, waits } }: { push: Push }) {
  const { notified, settings } = useScreenText();
  const times = useTimes();
  const name = pushSubscription
    ? (pushSubscription.session?.deviceName ?? settings.unnamedSession)
    : notified.removedDevice;
  const state =
    outcome === 'NOT_SENT'
      ? textOf(notified.reasons, reason, notified.otherReason)
      : endedAt
        ? notified.sentAt(times.full(endedAt))
        : notified.nextAt(times.full(dueAt ?? new Date().toISOString()));
  return (
    <li>
      <bdi>{name}</bdi>
      <span>{state}</span>
      {waits?.map((wait) => (
        <span key={wait}>{textOf(notified.waits, wait, '')}</span>
      ))}
    </li>
  );
}

function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section>
      <h3>{title}</h3>
      {children}
    </section>
  );
}
