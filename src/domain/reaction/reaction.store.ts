import { Prisma } from '../../generated/prisma/client.js';
import type { Db, Sql, Tx } from '../../infra/database/database.js';
import { defineLookup } from '../../platform/service.js';

/** The number of users who reacted to a message with an emoji. */
export interface ReactionGroup {
  emoji: string;
  count: number;
}

/** The reactions to a message. */
export interface Reactions {
  /** In the order in which each emoji was first used. */
  groups: readonly ReactionGroup[];
  /**
   * The emojis of each user, by user id, in the order in which the user added them. It is null if the message has more
   * than LISTED_MAX reactions.
   */
  byPerson: Readonly<Record<string, readonly string[]>> | null;
}

export const noReactions: Reactions = { groups: [], byPerson: {} };

/** The maximum number of reactions to a message for which its events list the users. */
const LISTED_MAX = 500;

/** The reaction groups of each of these messages, in the same order. */
export async function findReactionGroups(db: Db | Tx, messageIds: readonly string[]): Promise<ReactionGroup[][]> {
  const rows = await db.$queryRaw<(ReactionGroup & { messageId: string })[]>`
    SELECT message_id::text AS "messageId", emoji, count
    FROM reaction_groups WHERE message_id = ANY (${messageIds}::uuid[]) ORDER BY since_change_seq`;
  const byMessage = new Map<string, ReactionGroup[]>(messageIds.map((id) => [id, []]));
  for (const { messageId, ...group } of rows) byMessage.get(messageId)?.push(group);
  return messageIds.map((id) => byMessage.get(id) ?? []);
}

/** The reactions to each of these messages, in the same order. */
export async function findReactions(db: Db | Tx, messageIds: readonly string[]): Promise<Reactions[]> {
  const groupsOf = await findReactionGroups(db, messageIds);
  const listed = messageIds.filter((_id, index) => {
    const count = (groupsOf[index] ?? []).reduce((sum, group) => sum + group.count, 0);
    return count > 0 && count <= LISTED_MAX;
  });
  const rows =
    listed.length === 0
      ? []
      : await db.reaction.findMany({ where: { messageId: { in: listed } }, orderBy: { changeSeq: 'asc' } });
  const people = new Map<string, Record<string, string[]>>(listed.map((id) => [id, {}]));
  for (const { messageId, userId, emoji } of rows) {
    const byPerson = people.get(messageId);
    if (byPerson) byPerson[userId] = [...(byPerson[userId] ?? []), emoji];
  }
  return messageIds.map((id, index) => {
    const groups = groupsOf[index] ?? [];
    return groups.length === 0 ? noReactions : { groups, byPerson: people.get(id) ?? null };
  });
}

/**
 * For each pair of a message and a user, the emojis with which the user reacted, in the order in which they were added.
 */
async function findOwnReactions(
  sql: Sql,
  pairs: readonly { messageId: string; userId: string }[],
): Promise<string[][]> {
  const rows = await sql.query<{ n: number; emoji: string }>(Prisma.sql`
    SELECT pair.n::int AS n, emoji
    FROM unnest(${pairs.map(({ messageId }) => messageId)}::uuid[], ${pairs.map(({ userId }) => userId)}::uuid[])
         WITH ORDINALITY AS pair (message_id, user_id, n)
    JOIN reactions ON reactions.user_id = pair.user_id AND reactions.message_id = pair.message_id
    ORDER BY change_seq`);
  const emojis = pairs.map((): string[] => []);
  for (const { n, emoji } of rows) emojis[n - 1]?.push(emoji);
  return emojis;
}

/** The emojis with which a user has reacted to a message. */
export const ownReactionsLookup = defineLookup(
  'own reactions',
  ({ database }, pairs: readonly { messageId: string; userId: string }[]) => findOwnReactions(database.sql, pairs),
);

/** A page of the users who reacted to a message with an emoji. */
export interface ReactorsPage {
  messageId: string;
  emoji: string;
  /** Only reactions after this `changeSeq`; 0 for the first page. */
  from: number;
  limit: number;
}

/** A user who reacted, and the change that added the reaction. */
export interface Reactor {
  userId: string;
  changeSeq: number;
}

/** The users of each of these pages, earliest reaction first, in one statement for all pages. */
export async function findReactors(db: Db, pages: readonly ReactorsPage[]): Promise<Reactor[][]> {
  const rows = await db.$queryRaw<(Reactor & { n: number })[]>`
    SELECT page.n::int AS n, reactor.user_id::text AS "userId", reactor.change_seq AS "changeSeq"
    FROM unnest(${pages.map(({ messageId }) => messageId)}::uuid[], ${pages.map(({ emoji }) => emoji)}::text[],
                ${pages.map(({ from }) => from)}::int[], ${pages.map(({ limit }) => limit)}::int[])
         WITH ORDINALITY AS page (message_id, emoji, after_seq, size, n)
    CROSS JOIN LATERAL (
      SELECT user_id, change_seq FROM reactions
      WHERE message_id = page.message_id AND emoji = page.emoji AND change_seq > page.after_seq
      ORDER BY change_seq LIMIT page.size
    ) reactor
    ORDER BY page.n, reactor.change_seq`;
  const found = pages.map((): Reactor[] => []);
  for (const { n, ...reactor } of rows) found[n - 1]?.push(reactor);
  return found;
}

interface Reaction {
  messageId: string;
  emoji: string;
  userId: string;
}

/**
 * Stores a new reaction to a message of a locked conversation.
 * @param changeSeq the number of the change that adds the reaction.
 */
export async function storeReaction(tx: Tx, { messageId, emoji, userId }: Reaction, changeSeq: number): Promise<void> {
  await tx.$executeRaw`
    WITH counted AS (
      INSERT INTO reaction_groups AS own (message_id, emoji, count, since_change_seq)
      VALUES (${messageId}::uuid, ${emoji}, 1, ${changeSeq}::int)
      ON CONFLICT (message_id, emoji) DO UPDATE SET count = own.count + 1
    )
    INSERT INTO reactions (message_id, emoji, user_id, change_seq)
    VALUES (${messageId}::uuid, ${emoji}, ${userId}::uuid, ${changeSeq}::int)`;
}

/** Removes a user's reactions to messages of a locked conversation: all of them, or only those with one emoji. */
export async function removeReactions(
  tx: Tx,
  userId: string,
  messageIds: readonly string[],
  emoji?: string,
): Promise<void> {
  const withEmoji = emoji === undefined ? Prisma.empty : Prisma.sql`AND emoji = ${emoji}`;
  await tx.$executeRaw`
    WITH gone AS (
      DELETE FROM reactions WHERE user_id = ${userId}::uuid AND message_id = ANY (${messageIds}::uuid[]) ${withEmoji}
      RETURNING message_id, emoji
    )
    UPDATE reaction_groups SET count = count - 1 FROM gone
    WHERE reaction_groups.message_id = gone.message_id AND reaction_groups.emoji = gone.emoji`;
  await tx.$executeRaw`DELETE FROM reaction_groups WHERE message_id = ANY (${messageIds}::uuid[]) AND count = 0`;
}
