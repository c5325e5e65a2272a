import { newId } from '../../core/ids.js';
import { behind, type PageRequest } from '../../core/page.js';
import type { AuditEntry, Prisma } from '../../generated/prisma/client.js';
import type { Db, Tx } from '../../infra/database/database.js';
import { currentRequest } from '../../infra/telemetry/request.js';
import { type AuditAction, auditActions } from './audit.actions.js';

export type { AuditEntry };

/** Who does something: in a session, if it is not the node that does it for them later. */
export interface Actor {
  userId: string;
  sessionId?: string | undefined;
}

/** Something that is put down. From which address and in which request it came is known. */
export interface Act {
  action: Exclude<AuditAction, 'OTHER'>;
  /** Absent: nobody who was signed in, or the node itself. */
  actor?: Actor | undefined;
  /** On whom: the id of a user. */
  subjectId?: string | undefined;
  conversationId?: string | undefined;
  /** What else there is to say. Never a secret, a name, an email address, or what somebody wrote. */
  details?: Details;
}

/** What is undefined is left out; null is what was not set. */
export type Details = Record<string, string | number | undefined | { from: string | null; to: string | null }>;

/** One of them as it is kept and read. */
export interface AuditDetail {
  name: string;
  value: string | null;
  oldValue: string | null;
}

/** Longest value that is kept of a detail, and most details of an entry: an entry is small. */
const VALUE_MAX_CHARS = 200;
const DETAILS_MAX = 100;

// JSON of the database takes neither NUL nor half a character, as it may be after the cut.
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

/** What an act is in the table, as of the request that is being served. */
export function rowOf({ action, actor, subjectId, conversationId, details = {} }: Act): AuditRow {
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

/** Puts down what is done, in the transaction in which it is done: neither is ever there without the other. */
export async function recordActs(tx: Tx, ...acts: Act[]): Promise<void> {
  if (acts.length > 0) await tx.auditEntry.createMany({ data: acts.map(rowOf) });
}

/** Puts down what was refused; what is there already stays. */
export async function storeRows(db: Db, rows: AuditRow[]): Promise<void> {
  await db.auditEntry.createMany({ data: rows, skipDuplicates: true });
}

/** Which entries are looked for: those for which all that is given is so. */
export interface AuditFilter {
  actorId?: string | undefined;
  subjectId?: string | undefined;
  conversationId?: string | undefined;
  action?: AuditAction | undefined;
  address?: string | undefined;
  refused?: boolean | undefined;
  /** From then on, and until before then. */
  since?: Date | undefined;
  until?: Date | undefined;
}

/** Entries, the latest first. */
export function listEntries(
  db: Db,
  { since, until, action, ...same }: AuditFilter,
  page: PageRequest<readonly ['date', 'uuid']>,
): Promise<AuditEntry[]> {
  // Prisma takes what is undefined for absent.
  const where = { ...same, at: { gte: since, lt: until }, action: action === 'OTHER' ? { notIn: known } : action };
  return db.auditEntry.findMany({
    where: { ...where, AND: behind(page.from, 'at', 'id', 'latest first') } as Prisma.AuditEntryWhereInput,
    orderBy: [{ at: 'desc' }, { id: 'desc' }],
    take: page.size + 1,
  });
}

const known = Object.keys(auditActions);

/** What an entry tells of, also where a newer server put it down. */
export const actionOf = ({ action }: AuditEntry): AuditAction =>
  action in auditActions ? (action as AuditAction) : 'OTHER';

export const readDetails = (entry: AuditEntry): AuditDetail[] => [
  ...(actionOf(entry) === 'OTHER' ? [{ name: 'action', value: entry.action, oldValue: null }] : []),
  ...(entry.details as unknown as AuditDetail[]),
];

/** Entries taken away at a time, so that nobody waits for long. */
const TRIM_BATCH = 5_000;

/** Takes away entries that are older than that, once there are some a day older. @returns how many. */
export async function trimAuditLog(db: Db, retentionMs: number): Promise<number> {
  for (let trimmed = 0; ; ) {
    const [row] = await db.$queryRaw<[{ count: number }]>`
      SELECT trim_audit_entries(${retentionMs}::float8 * interval '1 millisecond', ${TRIM_BATCH}::int) AS count`;
    trimmed += row.count;
    if (row.count < TRIM_BATCH) return trimmed;
  }
}
