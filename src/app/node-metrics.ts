import { version } from '../infra/config/version.js';
import { by } from '../infra/telemetry/metrics.js';
import type { Deps } from '../platform/deps.js';
import type { OldestTransaction } from '../realtime/oldest-transaction.js';

/** How long a scrape waits for the database, in milliseconds: one that does not answer must not hide the rest. */
const PING_MS = 2_000;

/** Registers what the parts of a node count that belong to no feature. */
export function exposeNode(deps: Deps, oldest: OldestTransaction): void {
  const { bus, config, database, feed, mailer, metrics, passwords } = deps;
  const gauge = metrics.read.bind(metrics, 'gauge');
  const counter = metrics.read.bind(metrics, 'counter');

  gauge(
    'parley_info',
    'Always 1; its labels say what runs.',
    () => [{ labels: { version, database: database.footing }, value: 1 }],
    ['version', 'database'],
  );

  counter(
    'parley_feed_changes_total',
    'Changes of the log that this node delivered to who listens.',
    () => feed.counts.changes,
  );
  counter(
    'parley_feed_gap_fills_total',
    'Times that changes were read from the log because no wake-up had told of them in time.',
    () => feed.counts.gapFills,
  );
  counter('parley_feed_filled_changes_total', 'Changes that were read for that.', () => feed.counts.filled);
  counter(
    'parley_feed_sweeps_total',
    'Looks into the log for what no wake-up told, by result.',
    () => by('result', { ok: feed.counts.sweeps - feed.counts.sweepsFailed, failed: feed.counts.sweepsFailed }),
    ['result'],
  );
  gauge(
    'parley_feed_last_sweep_timestamp_seconds',
    'When the last sweep that succeeded came to its end.',
    () => feed.sweptAt / 1000,
  );
  gauge(
    'parley_feed_oldest_transaction_age_seconds',
    'How long the oldest open transaction of the cluster has been open: each sweep reads what changed since its begin.',
    () => oldest.ageSeconds(),
  );
  counter(
    'parley_feed_resets_total',
    'Times that all streams had to begin anew, for the database was failed over or restored.',
    () => feed.counts.resets,
  );
  gauge('parley_feed_listeners', 'Streams that hear of changes.', () => feed.listeners);
  gauge('parley_feed_conversations', 'Conversations that are followed for them.', () => feed.conversations);
  counter(
    'parley_resumes_total',
    'Streams that were opened with a cursor: resumed, or expired (CURSOR_EXPIRED).',
    () => by('outcome', { resumed: feed.counts.resumes, expired: feed.counts.expired }),
    ['outcome'],
  );
  counter('parley_replayed_events_total', 'Events that resumes brought again.', () => feed.counts.replayed);

  counter('parley_bus_published_total', 'Texts for other nodes that were published.', () => bus.counts.published);
  counter('parley_bus_heard_total', 'Texts of other nodes that were heard.', () => bus.counts.heard);
  counter('parley_bus_lost_total', 'Messages to other nodes that could not be sent.', () => bus.counts.lost);
  gauge('parley_redis_connected', 'Whether Redis is connected, 1 or 0; absent without Redis.', () =>
    config.redisUrl === undefined ? undefined : Number(bus.connected),
  );

  gauge(
    'parley_database_connections',
    'Connections to PostgreSQL, by state; absent where the database is embedded.',
    () => {
      const pool = database.pool();
      return pool && by('state', { busy: pool.busy, idle: pool.idle });
    },
    ['state'],
  );
  gauge(
    'parley_database_waiting',
    'Calls that wait for a connection to PostgreSQL; absent where the database is embedded.',
    () => database.pool()?.waiting,
  );
  /** One ping for both, and for scrapes that come at once. */
  let pinging: Promise<number | undefined> | undefined;
  const ping = () => {
    pinging ??= timed(database.ping()).finally(() => {
      pinging = undefined;
    });
    return pinging;
  };
  gauge('parley_database_up', 'Whether the database answers, 1 or 0.', async () =>
    Number((await ping()) !== undefined),
  );
  gauge('parley_database_ping_seconds', 'How long the database takes to answer; absent when it does not.', ping);

  gauge('parley_password_waiting', 'Password hashes that wait for a worker.', () => passwords.waiting);
  gauge('parley_mail_waiting', 'Mails that wait or are being sent.', () => mailer.counts.waiting);
  counter(
    'parley_mails_total',
    'Mails by what became of them: sent, failed (given up, or too many waited) or dropped (the address was sent too many).',
    () => by('outcome', { sent: mailer.counts.done, failed: mailer.counts.lost, dropped: mailer.counts.dropped }),
    ['outcome'],
  );
  counter('parley_mail_failures_total', 'Tries to send a mail that failed.', () => mailer.counts.failures);
}

/** How long it takes, in seconds; undefined when it fails or takes too long. */
async function timed(work: Promise<void>): Promise<number | undefined> {
  const began = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), PING_MS);
  });
  const took = work.then(
    () => (performance.now() - began) / 1000,
    () => undefined,
  );
  try {
    return await Promise.race([took, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}
