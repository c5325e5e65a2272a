import { newId } from '../../core/ids.js';
import { afterKeyset, type PageRequest } from '../../core/page.js';
import type { AuditEntry, Prisma } from '../../generated/prisma/client.js';
import type { Db, Tx } from '../../infra/database/database.js';
import { currentRequest } from '../../infra/telemetry/request.js';
import type { AuditAction, AuditActions } from './audit.actions.js';

export type { AuditEntry };

/** The user who performs an action, and the session unless the action runs in the background. */
export interface Actor {
  userId: string;
  sessionId?: string | undefined;
}

/** An event to be recorded. The address and the id of the request are added when it is stored. */
export interface AuditEvent {
  action: Exclude<AuditAction, 'OTHER'>;
  /** Absent if nobody was signed in, or for actions of the node itself. */
  actor?: Actor | undefined;
  /** The id of the user whom the action affects. */
  subjectId?: string | undefined;
  conversationId?: string | undefined;
  /** Further properties. They must not contain secrets, names, email addresses or user content. */
  details?: Details;
}

/** Properties that are undefined are omitted; null means that a value was not set. */
export type Details = Record<string, string | number | undefined | { from: string | null; to: string | null }>;

/** A property as it is stored and returned. */
export interface AuditDetail {
  name: string;
  value: string | null;
  oldValue: string | null;
}

/** The maximum length of a value, and the maximum number of properties of an entry. */
const VALUE_MAX_CHARS = 200;
const DETAILS_MAX = 100;

// PostgreSQL's JSON supports neither NUL nor lone surrogates, which truncation can produce.
const cut = (value: string | number | null) =>
  value === null
    ? null
    : String(value)
        .slice(0, VALUE_MAX_CHARS)
        .replace(/[\0\p{Cs}]/gu, '\ufffd');

function detailsOf(details: Details): AuditDetail[] {
  const all = Object.entries(details).flatMap(([name, value]): AuditDetail[] => {
    if (value === undefined) return [];
    const { from, to } = typeof value === 'object' ? value : { from: null, to: value };
    return [{ name, value: cut(to), oldValue: cut(from) }];
  });
  return all.slice(0, DETAILS_MAX);
}

export type AuditRow = Prisma.AuditEntryCreateManyInput;

/** Converts an event to a row, with the address and the id of the current request. */
export function rowOf({ action, actor, subjectId, conversationId, details = {} }: AuditEvent): AuditRow {
  const request = currentRequest();
  return {
    id: newId(),
    action,
    actorId: actor?.userId ?? null,
    sessionId: actor?.sessionId ?? null,
    subjectId: subjectId ?? null,
    conversationId: conversationId ?? null,
    address: request?.address || null,
    requestId: request?.id ?? null,
    details: detailsOf(details) as unknown as Prisma.InputJsonArray,
  };
}

/** Records events in the transaction of the actions, so that neither is committed without the other. */
export async function recordAuditEvents(tx: Tx, ...acts: AuditEvent[]): Promise<void> {
  if (acts.length > 0) await tx.auditEntry.createMany({ data: acts.map(rowOf) });
}

/** Stores rows of denied actions. Rows that are already stored are skipped. */
export async function storeRows(db: Db, rows: AuditRow[]): Promise<void> {
  await db.auditEntry.createMany({ data: rows, skipDuplicates: true });
}

/** Conditions for entries; all of them must be true. */
export interface AuditFilter {
  actorId?: string | undefined;
  subjectId?: string | undefined;
  conversationId?: string | undefined;
  action?: AuditAction | undefined;
  address?: string | undefined;
  refused?: boolean | undefined;
  /** `since` is inclusive, `until` exclusive. */
  since?: Date | undefined;
  until?: Date | undefined;
}

/** Lists entries, latest first. OTHER stands for all actions that are not `known`. */
export function listEntries(
  db: Db,
  { since, until, action, ...same }: AuditFilter,
  known: AuditActions,
  page: PageRequest<readonly ['date', 'uuid']>,
): Promise<AuditEntry[]> {
  const ofAction = action === 'OTHER' ? { notIn: Object.keys(known) } : action;
  // Prisma ignores conditions that are undefined.
  const where = { ...same, at: { gte: since, lt: until }, action: ofAction };
  return db.auditEntry.findMany({
    where: { ...where, AND: afterKeyset(page.from, 'at', 'id', 'latest first') } as Prisma.AuditEntryWhereInput,
    orderBy: [{ at: 'desc' }, { id: 'desc' }],
    take: page.size + 1,
  });
}

/** The action of an entry. Actions of newer versions are reported as OTHER. */
export const actionOf = ({ action }: AuditEntry, known: AuditActions): AuditAction =>
  action in known ? (action as AuditAction) : 'OTHER';

export const readDetails = (entry: AuditEntry, known: AuditActions): AuditDetail[] => [
  ...(actionOf(entry, known) === 'OTHER' ? [{ name: 'action', value: entry.action, oldValue: null }] : []),
  ...(entry.details as unknown as AuditDetail[]),
];

/** The number of entries deleted per statement, so that locks are short. */
const TRIM_BATCH = 5_000;

/**
 * Deletes entries that are older than the retention, once some have exceeded it by a day. Returns the number of deleted
 * entries.
 */
export async function trimAuditLog(db: Db, retentionMs: number): Promise<number> {
  for (let trimmed = 0; ; ) {
    const [row] = await db.$queryRaw<[{ count: number }]>`
      SELECT trim_audit_entries(${retentionMs}::float8 * interval '1 millisecond', ${TRIM_BATCH}::int) AS count`;
    trimmed += row.count;
    if (row.count < TRIM_BATCH) return trimmed;
  }
}
