import type { Message } from '@parley/client';
import { type ReactNode, useEffect, useState } from 'react';
import { MessageDetailsDocument, type MessageDetailsQuery } from '../../generated/screens/graphql.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useParley } from '../../parley.ts';
import { Avatar } from '../../shell/avatar.tsx';
import { Dialog } from '../../shell/dialog.tsx';
import sections from '../../shell/sections.module.css';
import { useTimes } from '../../shell/time.ts';
import styles from './message-details.module.css';
import { MessageText } from './message-text.tsx';

type Details = Extract<NonNullable<MessageDetailsQuery['node']>, { edits: unknown }>;
type Receipt = NonNullable<Details['readBy']>['edges'][number];

/** Who has received and read a message, and its earlier texts. */
export default function MessageDetails({ message, onClose }: { message: Message; onClose(): void }) {
  const { app, pane, details: text } = useScreenText();
  const times = useTimes();
  const parley = useParley();
  const [details, setDetails] = useState<Details>();
  const [error, setError] = useState('');
  useEffect(() => {
    parley.request(MessageDetailsDocument, { id: message.id }).then(
      ({ node }) => setDetails(node as Details),
      ({ message: reason }) => setError(reason),
    );
  }, [parley, message.id]);
  const read = details?.readBy?.edges ?? [];
  const readers = new Set(read.map(({ node }) => node.id));
  const delivered = details?.deliveredTo?.edges.filter(({ node }) => !readers.has(node.id)) ?? [];
  const edits = details?.edits?.nodes ?? [];
  return (
    <Dialog title={pane.details} onClose={onClose}>
      <div className={`${sections.sections} ${styles.details}`} aria-busy={!details && error === ''}>
        {error !== '' && <p role="alert">{error}</p>}
        {!details && error === '' && <p role="status">{app.loading}</p>}
        <Section title={text.sentAt}>
          <p>{times.full(message.createdAt)}</p>
        </Section>
        {read.length > 0 && (
          <Section title={text.seenBy(read.length)}>
            <People receipts={read} />
          </Section>
        )}
        {delivered.length > 0 && (
          <Section title={text.deliveredTo(delivered.length)}>
            <People receipts={delivered} />
          </Section>
        )}
        {details && details.readBy === null && <p>{text.noReceipts}</p>}
        {edits.length > 0 && (
          <Section title={text.earlierTexts}>
            {edits.map(({ at, text }) => (
              <div key={at} className={styles.edit}>
                <time dateTime={at}>{times.full(at)}</time>
                <MessageText text={text ?? ''} />
              </div>
            ))}
          </Section>
        )}
      </div>
    </Dialog>
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

function People({ receipts }: { receipts: readonly Receipt[] }) {
  const times = useTimes();
  return (
    <ul>
      {receipts.map(({ at, node }) => (
        <li key={node.id}>
          <Avatar name={node.displayName} id={node.id} url={node.avatarUrl} size={28} />
          <bdi>{node.displayName}</bdi>
          <time dateTime={at} title={times.full(at)}>
            {times.brief(at)}
          </time>
        </li>
      ))}
    </ul>
  );
}
