import { type Membership, Prisma, type User } from '../../generated/prisma/client.js';
import type { Sql } from '../../infra/database/database.js';
import { type Counterpart, counterpartOf } from '../conversation/conversation.policy.js';
import { membershipColumns } from '../conversation/conversation.store.js';
import { isReachable } from '../user/reach.store.js';
import { userColumns } from '../user/user.store.js';

/** A user who may be typing. */
export interface Typist {
  membership: Membership;
  user: User;
  memberCount: number;
  isInvisible: boolean;
  counterpart: Counterpart | undefined;
}

/** Undefined if the user is not a member of the conversation. */
export async function findTypist(sql: Sql, conversationId: string, userId: string): Promise<Typist | undefined> {
  const [row] = await sql.query<Record<string, unknown>>(Prisma.sql`
    SELECT ${membershipColumns.select}, ${userColumns.select}, conversations.member_count AS "memberCount",
           presences.availability = 'INVISIBLE' AS "isInvisible", (
             SELECT ${isReachable(Prisma.raw('own.user_id'))}
             FROM memberships JOIN users ON users.id = memberships.user_id
             WHERE conversations.kind = 'DIRECT' AND memberships.conversation_id = conversations.id
               AND memberships.user_id <> own.user_id
           ) AS reachable
    FROM memberships own
    JOIN conversations ON conversations.id = own.conversation_id
    JOIN users person ON person.id = own.user_id
    LEFT JOIN presences ON presences.user_id = own.user_id
    WHERE own.conversation_id = ${conversationId}::uuid AND own.user_id = ${userId}::uuid`);
  const membership = row && membershipColumns.of(row);
  const user = row && userColumns.of(row);
  if (!membership || !user) return undefined;
  return {
    membership,
    user,
    memberCount: row['memberCount'] as number,
    isInvisible: row['isInvisible'] === true,
    counterpart: counterpartOf(row['reachable']),
  };
}
