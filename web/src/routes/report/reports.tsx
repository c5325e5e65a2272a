import { useCallback, useEffect, useRef, useState } from 'react';
import {
  type ReportResolution,
  type ReportState,
  ReportsDocument,
  type ReportsQuery,
  ResolveReportDocument,
  SuspendUserDocument,
  UnsuspendUserDocument,
} from '../../generated/screens/graphql.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useParley } from '../../parley.ts';
import { Avatar } from '../../shell/avatar.tsx';
import { Button } from '../../shell/button.tsx';
import { Confirm } from '../../shell/confirm.tsx';
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
  /** Suspends a user or ends the suspension. Several reports can be about the same user. */
  const suspend = (userId: string, isSuspended: boolean) =>
    run(async () => {
      const input = { userId };
      const user = isSuspended
        ? (await parley.request(SuspendUserDocument, { input })).suspendUser?.user
        : (await parley.request(UnsuspendUserDocument, { input })).unsuspendUser?.user;
      setReports((before = []) => before.map((each) => withSuspension(each, userId, user?.suspendedAt ?? null)));
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
          onSuspend={(userId, isSuspended) => void suspend(userId, isSuspended)}
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

function withSuspension(report: Report, userId: string, suspendedAt: string | null): Report {
  const { target } = report;
  if (target.__typename !== 'ReportedMessage' || target.sender?.id !== userId) return report;
  return { ...report, target: { ...target, sender: { ...target.sender, suspendedAt } } };
}

function ReportCard({
  report,
  isBusy,
  onResolve,
  onSuspend,
}: {
  report: Report;
  isBusy: boolean;
  onResolve(resolution: ReportResolution): void;
  onSuspend(userId: string, isSuspended: boolean): void;
}) {
  const { report: text } = useScreenText();
  const times = useTimes();
  const { target, reporter, reason, comment, createdAt, resolution, resolvedAt, resolvedBy } = report;
  const message = target.__typename === 'ReportedMessage' ? target : undefined;
  const sender = message?.sender;
  const [isAsking, setAsking] = useState(false);
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
          {sender?.suspendedAt && <p>{text.suspended(times.full(sender.suspendedAt))}</p>}
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
      {sender && (
        <div className={styles.buttons}>
          {sender.suspendedAt ? (
            <Button busy={isBusy} onClick={() => onSuspend(sender.id, false)}>
              {text.unsuspend(sender.displayName)}
            </Button>
          ) : (
            <Button aria-haspopup="dialog" busy={isBusy} onClick={() => setAsking(true)}>
              {text.suspend(sender.displayName)}
            </Button>
          )}
        </div>
      )}
      {sender && isAsking && (
        <Confirm
          title={text.suspendTitle(sender.displayName)}
          text={text.suspendText}
          action={text.suspendAction}
          onClose={() => setAsking(false)}
          onConfirm={() => {
            setAsking(false);
            onSuspend(sender.id, true);
          }}
        />
      )}
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
