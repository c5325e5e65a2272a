import { ChatError, type ErrorCode } from '../../core/errors.js';
import { createBackground } from '../../infra/async/background.js';
import type { Db } from '../../infra/database/database.js';
import type { Logger } from '../../infra/telemetry/log.js';
import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import { type AuditEvent, type AuditRow, rowOf, storeRows } from './audit.store.js';

/**
 * Stores audit events outside of a transaction: denied actions, which change nothing, and reads. It never delays or
 * fails a response, and takes the same time for every event.
 */
export interface AuditLogger {
  /** Queues an event and returns at once; to be called while the request is being served. */
  record(act: AuditEvent, outcome: 'done' | 'refused'): void;
  /** Stores the queued events. Resolves when they are stored, or after a time limit. */
  close(): Promise<void>;
}

/** The delay in milliseconds before events are stored, so that the response is sent first. */
const START_MS = 100;
const RETRY_MS = [1_000, 5_000, 30_000, 120_000];
/** More than the number of batches, one per START_MS, until the last retry. */
const BATCHES_MAX = 2_000;
const CLOSE_MS = 2_000;
const WINDOW_MS = 60_000;
/** The limit of individually stored events per window is, for the whole node, this many times the limit per account. */
const ACCOUNTS = 20;

/**
 * Creates the queue of a node. Per minute, at most `max` events of one account and of one address are stored
 * individually. Further ones are aggregated into one entry with their number when the minute ends. The whole node
 * stores at most twenty times as many individually, so that a flood cannot fill the log.
 */
export function createAuditLogger({
  db,
  max,
  windowMs = WINDOW_MS,
  log,
}: {
  db: Db;
  max: number;
  windowMs?: number;
  log: Logger;
}): AuditLogger {
  const background = createBackground({
    name: 'audit log entries',
    atOnce: 1,
    waitingMax: BATCHES_MAX,
    retryMs: RETRY_MS,
    closeMs: CLOSE_MS,
    log,
  });
  let waiting: AuditRow[] = [];
  /**
   * The number of individually stored events of the current window, and the aggregated events, by account or address.
   */
  let counts = new Map<string, number>();
  let aggregates = new Map<string, AuditRow & { count: number; since: Date }>();
  let window: NodeJS.Timeout | undefined;

  function enqueue(row: AuditRow): void {
    waiting.push(row);
    if (waiting.length > 1) return;
    const rows = waiting;
    const taken = background.run(async () => {
      if (waiting === rows) waiting = [];
      await storeRows(db, rows);
    }, START_MS);
    if (taken) return;
    waiting = [];
    log.error({ entries: rows.length }, 'audit log entries dropped: the queue is full');
  }

  /**
   * The property by which an event must be aggregated because its limit is reached; undefined if the event is stored
   * individually.
   */
  function aggregateOf({ address = null, subjectId = null, actorId = null }: AuditRow): Partial<AuditRow> | undefined {
    const account = subjectId === null ? { actorId } : { subjectId };
    const commons: { key: string; what: Partial<AuditRow>; applies: boolean; max?: number }[] = [
      { key: `address ${address}`, what: { address }, applies: address !== null },
      { key: `account ${subjectId ?? actorId}`, what: account, applies: (subjectId ?? actorId) !== null },
      { key: 'all', what: {}, applies: true, max: ACCOUNTS * max },
    ].filter((common) => common.applies);
    const full = commons.find((common) => (counts.get(common.key) ?? 0) >= (common.max ?? max));
    if (full) return full.what;
    for (const { key } of commons) counts.set(key, (counts.get(key) ?? 0) + 1);
    return undefined;
  }

  function endWindow(): void {
    clearTimeout(window);
    window = undefined;
    for (const { since, ...row } of aggregates.values()) {
      enqueue({ ...row, at: new Date(), details: [{ name: 'since', value: since.toISOString(), oldValue: null }] });
    }
    counts = new Map();
    aggregates = new Map();
  }

  return {
    record(act, outcome) {
      window ??= setTimeout(endWindow, windowMs).unref();
      const row = { ...rowOf(act), refused: outcome === 'refused', at: new Date() };
      const aggregate = aggregateOf(row);
      if (!aggregate) return enqueue(row);
      const { id, action, refused } = row;
      const key = JSON.stringify([action, refused, aggregate]);
      const known = aggregates.get(key);
      if (known) known.count += 1;
      else aggregates.set(key, { ...aggregate, id, action, refused, count: 1, since: row.at });
    },
    async close() {
      endWindow();
      await background.close();
    },
  };
}

export const auditLogger = defineService('audit logger', ({ database, config, log }) =>
  createAuditLogger({ db: database.db, max: config.auditRefusalsMax, log }),
);

/** The `reason` recorded for an error with each code. Errors with other codes are not recorded. */
type Reasons = Partial<Record<ErrorCode, string>>;

/**
 * Runs `work` and records a denial if it fails with one of `reasons`. The caller may add details to `act` until then.
 */
export async function auditingDenials<Result>(
  deps: Pick<Deps, 'services'>,
  act: AuditEvent,
  work: () => Promise<Result>,
  reasons: Reasons = { FORBIDDEN: 'NOT_ALLOWED' },
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const reason = error instanceof ChatError ? reasons[error.code] : undefined;
    if (reason !== undefined) auditLogger.of(deps).record({ ...act, details: { ...act.details, reason } }, 'refused');
    throw error;
  }
}
