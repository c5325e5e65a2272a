import { ChatError, type ErrorCode } from '../../core/errors.js';
import { createBackground } from '../../infra/async/background.js';
import type { Db } from '../../infra/database/database.js';
import type { Logger } from '../../infra/telemetry/log.js';
import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import { type Act, type AuditRow, rowOf, storeRows } from './audit.store.js';

/**
 * What is put down beside what it is about, and not with it: what was refused, as nothing is stored of that, and what
 * was only read. It delays no answer, fails none, and takes the same time whatever it is.
 */
export interface AuditNotes {
  /** To be called while the request is served. Returns at once; it is stored soon after. */
  note(act: Act, outcome: 'done' | 'refused'): void;
  /** Stores what is still to be stored; resolves when that is done, or after a moment. */
  close(): Promise<void>;
}

/** By then the answer has gone out. */
const START_MS = 100;
const RETRY_MS = [1_000, 5_000, 30_000, 120_000];
/** More than there can be of START_MS each until the last retry. */
const BATCHES_MAX = 2_000;
const CLOSE_MS = 2_000;
const WINDOW_MS = 60_000;
/** What a node puts down one by one in a window is as often as many as of one account. */
const ACCOUNTS = 20;

/**
 * Of one account, and from one address, `max` in a minute are put down one by one; of those beyond, once the minute is
 * over, only how many they were. Of all on this node twenty times as many: so a flood cannot fill the log.
 */
export function createAuditNotes({
  db,
  max,
  windowMs = WINDOW_MS,
  log,
}: {
  db: Db;
  max: number;
  windowMs?: number;
  log: Logger;
}): AuditNotes {
  const background = createBackground({
    name: 'audit log entries',
    atOnce: 1,
    waitingMax: BATCHES_MAX,
    retryMs: RETRY_MS,
    closeMs: CLOSE_MS,
    log,
  });
  let waiting: AuditRow[] = [];
  /** Of the present window: how many were put down one by one, and those that were not, by what they have in common. */
  let counts = new Map<string, number>();
  let crowds = new Map<string, AuditRow & { count: number; since: Date }>();
  let window: NodeJS.Timeout | undefined;

  function put(row: AuditRow): void {
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

  /** What of it has been put down too often in this window; undefined: nothing. */
  function crowdOf({ address = null, subjectId = null, actorId = null }: AuditRow): Partial<AuditRow> | undefined {
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
    for (const { since, ...row } of crowds.values()) {
      put({ ...row, at: new Date(), details: [{ name: 'since', value: since.toISOString(), oldValue: null }] });
    }
    counts = new Map();
    crowds = new Map();
  }

  return {
    note(act, outcome) {
      window ??= setTimeout(endWindow, windowMs).unref();
      const row = { ...rowOf(act), refused: outcome === 'refused', at: new Date() };
      const crowd = crowdOf(row);
      if (!crowd) return put(row);
      const { id, action, refused } = row;
      const key = JSON.stringify([action, refused, crowd]);
      const known = crowds.get(key);
      if (known) known.count += 1;
      else crowds.set(key, { ...crowd, id, action, refused, count: 1, since: row.at });
    },
    async close() {
      endWindow();
      await background.close();
    },
  };
}

export const auditNotes = defineService('audit notes', ({ database, config, log }) =>
  createAuditNotes({ db: database.db, max: config.auditRefusalsMax, log }),
);

/** What an error of such a code means, as `reason` of what is put down; others are not put down. */
type Reasons = Partial<Record<ErrorCode, string>>;

/** Does what may be refused, and puts down that it was. `act` may be said more of until then. */
export async function notingRefusal<Result>(
  deps: Pick<Deps, 'services'>,
  act: Act,
  work: () => Promise<Result>,
  reasons: Reasons = { FORBIDDEN: 'NOT_ALLOWED' },
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const reason = error instanceof ChatError ? reasons[error.code] : undefined;
    if (reason !== undefined) auditNotes.of(deps).note({ ...act, details: { ...act.details, reason } }, 'refused');
    throw error;
  }
}
