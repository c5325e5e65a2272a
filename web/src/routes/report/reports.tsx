import { useCallback, useEffect, useRef, useState } from 'react';
import {
  type ReportResolution,
  type ReportState,
  ReportsDocument,
  type ReportsQuery,
  ResolveReportDocument,
} from '../../generated/screens/graphql.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useParley } from '../../parley.ts';
import { Avatar } from '../../shell/avatar.tsx';
import { Button } from '../../shell/button.tsx';
import { Icon } from '../../shell/icon.tsx';
import { Page } from '../../shell/page.tsx';
import { useTimes } from '../../shell/time.ts';
import { useTask } from '../../shell/use-task.ts';
import styles from './report.module.css';

type Report = NonNullable<ReportsQuery['reports']>['nodes'][number];
type State = Exclude<ReportState, '%future added value'>;

const states: readonly State[] = ['OPEN', 'RESOLVED'];

/** The text for a value of an enum, which a newer server may have extended. */
const textOf = (texts: Readonly<Record<string, string>>, value: string | null, other: string): string =>
  texts[value ?? ''] ?? other;

/** The reports of users, for moderators. */
export default function Reports() {
  const { report: text } = useScreenText();
  const [state, setState] = useState<State>('OPEN');
  return (
    <Page title={text.title} back={{ name: 'settings' }}>
      <fieldset className={styles.states} aria-label={text.show}>
        {states.map((each) => (
          <label key={each}>
            <input type="radio" name="state" checked={each === state} onChange={() => setState(each)} />
            {text.states[each]}
          </label>
        ))}
      </fieldset>
      <List key={state} state={state} />
    </Page>
  );
}

function List({ state }: { state: State }) {
  const { app, report: text } = useScreenText();
  const parley = useParley();
  const [reports, setReports] = useState<Report[]>();
  const [after, setAfter] = useState<string | null>(null);
  const [error, setError] = useState<{ code?: string; message: string }>();
  const { run, isBusy } = useTask();
  const ref = useRef<HTMLDivElement>(null);
  const load = useCallback(
    async (from: string | null) => {
      const { reports: page } = await parley.request(ReportsDocument, { state, after: from });
      const nodes = page?.nodes ?? [];
      setReports((before = []) => (from === null ? nodes : [...before, ...nodes]));
      setAfter(page?.pageInfo.hasNextPage ? (page.pageInfo.endCursor ?? null) : null);
    },
    [parley, state],
  );
  useEffect(() => {
    load(null).catch(setError);
  }, [load]);
  if (error) {
    return (
      <p role="alert" className={styles.empty}>
        {error.code === 'FORBIDDEN' ? text.forbidden : error.message}
      </p>
    );
  }
  if (!reports) {
    return (
      <p role="status" className={styles.empty}>
        {app.loading}
      </p>
    );
  }
  const resolve = (id: string, resolution: ReportResolution) =>
    run(async () => {
      await parley.request(ResolveReportDocument, { input: { reportId: id, resolution } });
      setReports((before = []) => before.filter((each) => each.id !== id));
      // The button that had the focus is gone.
      ref.current?.focus();
    });
  return (
    <div ref={ref} tabIndex={-1} className={styles.list}>
      <p role="status" className={reports.length === 0 ? styles.empty : 'visually-hidden'}>
        {reports.length === 0 ? text.none[state] : text.count(reports.length, after !== null)}
      </p>
      {reports.map((report) => (
        <ReportCard
          key={report.id}
          report={report}
          isBusy={isBusy}
          onResolve={(resolution) => void resolve(report.id, resolution)}
        />
      ))}
      {after !== null && (
        <Button busy={isBusy} onClick={() => void run(() => load(after))}>
          {text.more}
        </Button>
      )}
    </div>
  );
}

function ReportCard({
  report,
  isBusy,
  onResolve,
}: {
  report: Report;
  isBusy: boolean;
  onResolve(resolution: ReportResolution): void;
}) {
  const { report: text } = useScreenText();
  const times = useTimes();
  const { target, reporter, reason, comment, createdAt, resolution, resolvedAt, resolvedBy } = report;
  const message = target.__typename === 'ReportedMessage' ? target : undefined;
  const sender = message?.sender;
  return (
    <article className={styles.card} aria-label={text.about(sender?.displayName ?? '')}>
      <header className={styles.sender}>
        {sender && <Avatar name={sender.displayName} id={sender.id} url={sender.avatarUrl} size={40} />}
        <div>
          <h2>
            <bdi>{sender?.displayName}</bdi>
          </h2>
          <p>
            {sender && <bdi>@{sender.username}</bdi>}
            {message && <time dateTime={message.sentAt}>{times.full(message.sentAt)}</time>}
          </p>
        </div>
        <strong className={styles.reason}>{textOf(text.reasons, reason, text.reasons.OTHER)}</strong>
      </header>
      {message ? <Copy message={message} /> : <p>{text.unknownTarget}</p>}
      <div className={styles.reporter}>
        <p>
          <bdi>{reporter ? text.by(reporter.displayName) : text.byDeleted}</bdi>{' '}
          <time dateTime={createdAt}>{times.full(createdAt)}</time>
        </p>
        {comment !== null && <p dir="auto">{comment}</p>}
      </div>
      {resolvedAt === null ? (
        <div className={styles.buttons}>
          <Button busy={isBusy} onClick={() => onResolve('DISMISSED')}>
            {text.dismiss}
          </Button>
          <Button kind="primary" busy={isBusy} onClick={() => onResolve('ACTION_TAKEN')}>
            {text.actionTaken}
          </Button>
        </div>
      ) : (
        <p className={styles.decision}>
          <Icon name="check" size={18} />
          {text.decided(
            textOf(text.resolutions, resolution, text.otherDecision),
            resolvedBy?.displayName ?? '',
            times.full(resolvedAt),
          )}
        </p>
      )}
    </article>
  );
}

type ReportedMessage = Extract<Report['target'], { __typename: 'ReportedMessage' }>;

/** The message as it was reported, and what proves it. */
function Copy({
  message: { text: content, earlierTexts, files, proof, editedAt, deletedAt },
}: {
  message: ReportedMessage;
}) {
  const { report: text } = useScreenText();
  const times = useTimes();
  return (
    <>
      {earlierTexts.length > 0 && (
        <details className={styles.earlier}>
          <summary>{text.earlier(earlierTexts.length)}</summary>
          {earlierTexts.map((each, index) => (
            // The texts never change.
            <blockquote key={index} className={styles.quote} dir="auto">
              {each}
            </blockquote>
          ))}
        </details>
      )}
      {content !== null && (
        <blockquote className={styles.quote} dir="auto">
          {content}
        </blockquote>
      )}
      {files.length > 0 && (
        <ul className={styles.files}>
          {files.map(({ name, contentType }, index) => (
            <li key={index}>
              <Icon name="attach" size={16} />
              <bdi>{name || contentType || text.unnamedFile}</bdi>
            </li>
          ))}
        </ul>
      )}
      <p className={styles.proof} data-proof={proof}>
        <Icon name={proof === 'STORED' ? 'info' : 'shield'} size={18} />
        <span>
          {textOf(text.proofs, proof, text.unknownProof)}
          {deletedAt
            ? ` ${text.deletedAt(times.full(deletedAt))}`
            : editedAt
              ? ` ${text.editedAt(times.full(editedAt))}`
              : ''}
        </span>
      </p>
    </>
  );
}
