import { Prisma } from '../generated/prisma/client.js';
import { queryIn, type SqlTransaction, type Tx } from '../infra/database/database.js';
import { announceAfterCommit, type LastStatements, recordBeforeCommit } from '../infra/database/unit-of-work.js';
import type { Change, ChangeKind } from './change.js';
import { changesCommitted } from './change-log.js';

/** A change of one user's own data, before it is numbered. */
export interface PersonalChange<Data = unknown> extends Pick<Change<Data>, 'type' | 'subjectId' | 'actorId' | 'data'> {
  /** The user in whose log it is written. */
  userId: string;
}

/**
 * Writes changes into the logs of these people before the commit, in the order of calls, and has them announced after it.
 * They are numbered under the lock of each person's counter, which is held until the transaction ends. All changes of a
 * transaction are therefore written at once, by its last statement.
 */
export function recordPersonalChanges(tx: Tx | SqlTransaction, changes: readonly PersonalChange[]): void {
  if (changes.length > 0) recordBeforeCommit(tx, personalChanges, ...changes);
}

const personalChanges: LastStatements<Tx | SqlTransaction, PersonalChange> = {
  name: 'personal changes',
  run: writePersonalChanges,
};

async function writePersonalChanges(tx: Tx | SqlTransaction, changes: readonly PersonalChange[]): Promise<void> {
  const column = <Value>(value: (change: PersonalChange) => Value) => changes.map(value);
  // In the order of ids, so that two transactions that change several people do not wait for each other.
  const counters = await queryIn<{ userId: string; changeSeq: number }>(
    tx,
    Prisma.sql`
    WITH recorded AS MATERIALIZED (
      SELECT * FROM unnest(
        ${column(({ userId }) => userId)}::uuid[], ${column(({ type }) => type)}::text[],
        ${column(({ subjectId }) => subjectId)}::uuid[], ${column(({ actorId }) => actorId)}::uuid[]
      ) WITH ORDINALITY AS change (user_id, type, subject_id, actor_id, n)
    ),
    counted AS (
      INSERT INTO personal_logs AS log (user_id, change_seq)
      SELECT user_id, count(*)::int FROM recorded GROUP BY user_id ORDER BY user_id
      ON CONFLICT (user_id) DO UPDATE SET change_seq = log.change_seq + excluded.change_seq
      RETURNING user_id, change_seq
    ),
    logged AS (
      INSERT INTO changes (conversation_id, change_seq, type, subject_id, actor_id)
      SELECT user_id,
             counted.change_seq - (count(*) OVER (PARTITION BY user_id))::int
               + (row_number() OVER (PARTITION BY user_id ORDER BY n))::int,
             type, subject_id, actor_id
      FROM recorded JOIN counted USING (user_id)
    )
    SELECT user_id::text AS "userId", change_seq AS "changeSeq" FROM counted`,
  );
  const next = new Map(counters.map(({ userId, changeSeq }) => [userId, changeSeq + 1]));
  for (const { userId } of changes) next.set(userId, (next.get(userId) as number) - 1);
  const numbered = changes.map(({ userId, ...change }): Change => {
    const changeSeq = next.get(userId) as number;
    next.set(userId, changeSeq + 1);
    return { ...change, conversationId: userId, changeSeq, messageId: null };
  });
  announceAfterCommit(tx, changesCommitted, ...numbered);
}

/** A kind of changes whose rows are complete: nothing is loaded for them, and nothing else is sent between nodes. */
export const changesWithoutData = (types: readonly string[]): ChangeKind<true> => ({
  types,
  encode: (data) => data,
  decode: () => true,
  load: async (_db, rows) => rows.map(() => true),
});
