import { version } from '../infra/config/version.js';
import { by } from '../infra/telemetry/metrics.js';
import type { Deps } from '../platform/deps.js';
import type { OldestTransaction } from '../realtime/oldest-transaction.js';

/**
 * How long a scrape waits for the database, in milliseconds. If the database does not respond, the other metrics are
 * still exposed.
 */
const PING_MS = 2_000;

/** Registers the metrics of the parts of a node that belong to no feature. */
export function exposeNode(deps: Deps, oldest: OldestTransaction): void {
  const { bus, config, database, feed, mailer, metrics, passwords } = deps;
  const gauge = metrics.read.bind(metrics, 'gauge');
  const counter = metrics.read.bind(metrics, 'counter');

  gauge(
    'parley_info',
    'Always 1. The labels contain the version and the kind of database.',
    () => [{ labels: { version, database: database.mode }, value: 1 }],
    ['version', 'database'],
  );

  counter(
    'parley_feed_changes_total',
    'Change log entries that this node delivered to subscribers.',
    () => feed.counts.changes,
  );
  counter(
    'parley_feed_gap_fills_total',
    'Reads of the change log because a wake-up was missing or late.',
    () => feed.counts.gapFills,
  );
  counter('parley_feed_filled_changes_total', 'Change log entries read to fill gaps.', () => feed.counts.filled);
  counter(
    'parley_feed_sweeps_total',
    'Sweeps of the change log for missed changes, by result.',
    () => by('result', { ok: feed.counts.sweeps - feed.counts.sweepsFailed, failed: feed.counts.sweepsFailed }),
    ['result'],
  );
  gauge(
    'parley_feed_last_sweep_timestamp_seconds',
    'Time at which the last successful sweep ended.',
    () => feed.sweptAt / 1000,
  );
  gauge(
    'parley_feed_oldest_transaction_age_seconds',
    'Age of the oldest open transaction in the database cluster. Each sweep reads the changes since its start.',
    () => oldest.ageSeconds(),
  );
  counter(
    'parley_feed_resets_total',
    'Restarts of all streams because of a failover or a restore of the database.',
    () => feed.counts.resets,
  );
  gauge('parley_feed_listeners', 'Open streams that receive changes.', () => feed.listeners);
  gauge('parley_feed_conversations', 'Conversations with at least one such stream.', () => feed.conversations);
  counter(
    'parley_resumes_total',
    'Streams opened with a cursor, by outcome: resumed or expired (CURSOR_EXPIRED).',
    () => by('outcome', { resumed: feed.counts.resumes, expired: feed.counts.expired }),
    ['outcome'],
  );
  counter('parley_replayed_events_total', 'Events replayed to resumed streams.', () => feed.counts.replayed);

  counter('parley_bus_published_total', 'Messages published to other nodes.', () => bus.counts.published);
  counter('parley_bus_heard_total', 'Messages received from other nodes.', () => bus.counts.received);
  counter('parley_bus_lost_total', 'Messages to other nodes that could not be published.', () => bus.counts.lost);
  gauge('parley_redis_connected', 'Whether Redis is connected (1) or not (0). Absent without Redis.', () =>
    config.redisUrl === undefined ? undefined : Number(bus.connected),
  );

  gauge(
    'parley_database_connections',
    'Connections to PostgreSQL, by state. Absent with the embedded database.',
    () => {
      const pool = database.pool();
      return pool && by('state', { busy: pool.busy, idle: pool.idle });
    },
    ['state'],
  );
  gauge(
    'parley_database_waiting',
    'Calls waiting for a connection to PostgreSQL. Absent with the embedded database.',
    () => database.pool()?.waiting,
  );
  /** The ping in progress, which both metrics and concurrent scrapes share. */
  let pinging: Promise<number | undefined> | undefined;
  const ping = () => {
    pinging ??= timed(database.ping()).finally(() => {
      pinging = undefined;
    });
    return pinging;
  };
  gauge('parley_database_up', 'Whether the database responds (1) or not (0).', async () =>
    Number((await ping()) !== undefined),
  );
  gauge('parley_database_ping_seconds', 'Response time of the database. Absent if it does not respond.', ping);

  gauge('parley_password_waiting', 'Password hashes waiting for a worker thread.', () => passwords.waiting);
  gauge('parley_mail_waiting', 'Emails that are waiting or being sent.', () => mailer.counts.waiting);
  counter(
    'parley_mails_total',
    'Emails by outcome: sent, failed (all attempts failed, or the queue was full) or dropped (too many to one address).',
    () => by('outcome', { sent: mailer.counts.done, failed: mailer.counts.lost, dropped: mailer.counts.dropped }),
    ['outcome'],
  );
  counter('parley_mail_failures_total', 'Failed attempts to send an email.', () => mailer.counts.failures);
}

/** The duration of the work in seconds; undefined if it fails or exceeds the time limit. */
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
