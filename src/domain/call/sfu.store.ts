import { type Call, type CallSfuTask, Prisma } from '../../generated/prisma/client.js';
import type { Sql, Tx } from '../../infra/database/database.js';

const ms = (duration: number) => Prisma.sql`${Math.ceil(duration)}::bigint * interval '1 millisecond'`;

/**
 * Requests that the SFU disconnects the devices that have left a call in this transaction, or all if it has ended.
 * @param tokensLastMs for how long they could connect again.
 */
export async function requestRemovals(
  tx: Tx,
  { id, state, sfuRoom }: Pick<Call, 'id' | 'state' | 'sfuRoom'>,
  tokensLastMs: number,
): Promise<void> {
  const until = Prisma.sql`clock_timestamp() + ${ms(tokensLastMs)}`;
  if (state === 'ENDED') {
    await tx.$executeRaw`
      INSERT INTO call_sfu_tasks (id, room, tokens_until) VALUES (gen_random_uuid(), ${sfuRoom}::text, ${until})`;
    return;
  }
  await tx.$executeRaw`
    INSERT INTO call_sfu_tasks (id, room, party_id, tokens_until)
    SELECT gen_random_uuid(), ${sfuRoom}::text, party.id, ${until} FROM call_parties party
    WHERE party.call_id = ${id}::uuid AND party.state = 'LEFT'
      AND party.left_at >= date_trunc('milliseconds', transaction_timestamp())`;
}

/** A task that is to be done now. */
export type DueTask = Pick<CallSfuTask, 'id' | 'room' | 'partyId' | 'failures'> & {
  /** Whether no device that it concerns can connect again. */
  isLast: boolean;
};

/** Claims tasks that are due. If they are not done within `claimMs`, they are due again. */
export const claimTasks = (sql: Sql, limit: number, claimMs: number): Promise<DueTask[]> =>
  sql.query(Prisma.sql`
    UPDATE call_sfu_tasks SET due_at = clock_timestamp() + ${ms(claimMs)}
    WHERE id IN (
      SELECT id FROM call_sfu_tasks WHERE due_at <= clock_timestamp()
      ORDER BY due_at LIMIT ${limit}::int FOR UPDATE SKIP LOCKED
    )
    RETURNING id::text, room, party_id::text AS "partyId", failures, tokens_until <= clock_timestamp() AS "isLast"`);

export const deleteTask = (sql: Sql, id: string): Promise<unknown> =>
  sql.query(Prisma.sql`DELETE FROM call_sfu_tasks WHERE id = ${id}::uuid`);

/** Lets a task that was done be repeated: after `afterMs`, or when no token is valid any more if that is sooner. */
export const repeatTask = (sql: Sql, id: string, afterMs: number): Promise<unknown> =>
  sql.query(Prisma.sql`
    UPDATE call_sfu_tasks SET failures = 0, due_at = least(tokens_until, clock_timestamp() + ${ms(afterMs)})
    WHERE id = ${id}::uuid`);

/** Lets a task that has failed be repeated, unless it is older than `givenUpMs`. */
export const retryTask = (sql: Sql, id: string, afterMs: number, givenUpMs: number): Promise<unknown> =>
  sql.query(Prisma.sql`
    WITH old AS (
      DELETE FROM call_sfu_tasks WHERE id = ${id}::uuid AND tokens_until <= clock_timestamp() - ${ms(givenUpMs)}
      RETURNING id
    )
    UPDATE call_sfu_tasks SET failures = failures + 1, due_at = clock_timestamp() + ${ms(afterMs)}
    WHERE id = ${id}::uuid AND NOT EXISTS (SELECT FROM old)`);

/** The number of milliseconds until the next task is due; null if there is none. */
export async function nextTaskMs(sql: Sql): Promise<number | null> {
  const [row] = await sql.query<{ ms: number | null }>(Prisma.sql`
    SELECT (extract(epoch FROM min(due_at) - clock_timestamp()) * 1000)::float8 AS ms FROM call_sfu_tasks`);
  return row?.ms ?? null;
}
