import { type Conversation, Prisma } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import { changeConversation, countChanges, lock } from '../conversation/conversation.store.js';
import type { Deps } from '../deps.js';
import { takeOut } from '../group/membership.service.js';
import { messageChangeTypes } from '../message/message.events.js';
import { emptyMessages } from '../message/message.store.js';
import { removeReactions } from '../reaction/reaction.store.js';

/**
 * Does what is left of accounts that were deleted: takes them out of their groups and, where that is configured, deletes
 * their messages and reactions. In steps that each leave everything right, on whichever node; what one that dies leaves behind,
 * another takes up.
 */
export interface Erasures {
  /** Looks what there is to do; to be called when an account's deletion is committed. */
  begin(): void;
  /** Resolves when what is under way here has come to the end of its step. */
  close(): Promise<void>;
}

/** How often a node looks for what another has left behind, in milliseconds. */
const LOOK_MS = 60_000;
/** How long a step may take at most, in milliseconds: then another node takes over. */
const CLAIM_MS = 60_000;
/** Messages that are deleted at a time: their conversation is locked for that long. */
const BATCH = 500;

export function createErasures(
  deps: Pick<Deps, 'config' | 'database' | 'log' | 'turns'>,
  { lookMs = LOOK_MS }: { lookMs?: number } = {},
): Erasures {
  const { config, database, log } = deps;
  const { db } = database;
  let closed = false;
  let underWay: Promise<void> | undefined;
  let again = false;

  function begin(): void {
    if (closed) return;
    again = true;
    underWay ??= (async () => {
      while (again && !closed) {
        again = false;
        for (let userId = await claim(); userId !== undefined && !closed; userId = await claim()) await erase(userId);
      }
    })()
      .catch((error: unknown) => {
        if (!closed) log.warn({ err: error }, 'the data of a deleted account could not be erased; it is tried again');
      })
      .finally(() => {
        underWay = undefined;
      });
  }

  async function claim(): Promise<string | undefined> {
    const [row] = await db.$queryRaw<{ userId: string }[]>`
      UPDATE erasures SET claimed_until = clock_timestamp() + ${CLAIM_MS}::int * interval '1 millisecond'
      WHERE user_id = (
        SELECT user_id FROM erasures
        WHERE claimed_until < clock_timestamp()
          -- Everyone hears that the account is deleted before they hear that it leaves.
          AND NOT EXISTS (SELECT FROM person_updates WHERE person_updates.user_id = erasures.user_id)
        LIMIT 1 FOR UPDATE SKIP LOCKED
      )
      RETURNING user_id::text AS "userId"`;
    return row?.userId;
  }

  const keepClaim = (userId: string) =>
    db.$executeRaw`
      UPDATE erasures SET claimed_until = clock_timestamp() + ${CLAIM_MS}::int * interval '1 millisecond'
      WHERE user_id = ${userId}::uuid`;

  async function erase(userId: string): Promise<void> {
    const groups = await db.membership.findMany({ where: { userId, conversation: { kind: 'GROUP' } } });
    for (const { conversationId } of groups) {
      if (closed) return;
      await leave(userId, conversationId);
      await keepClaim(userId);
    }
    if (config.deletedAccountMessages === 'delete') {
      const rows = await db.$queryRaw<{ id: string }[]>`
        SELECT DISTINCT conversation_id::text AS id FROM messages
        WHERE sender_id = ${userId}::uuid AND deleted_at IS NULL`;
      for (const { id } of rows) {
        for (let more = true; more; ) {
          if (closed) return;
          more = await changeConversation(deps, id, (tx) => deleteSome(tx, id, userId));
          await keepClaim(userId);
        }
      }
      const reactedIn = await db.$queryRaw<{ id: string }[]>`
        SELECT DISTINCT conversation_id::text AS id FROM reactions JOIN messages ON messages.id = message_id
        WHERE user_id = ${userId}::uuid`;
      for (const { id } of reactedIn) {
        for (let more = true; more; ) {
          if (closed) return;
          more = await changeConversation(deps, id, (tx) => takeBackSome(tx, id, userId));
          await keepClaim(userId);
        }
      }
    }
    await db.erasure.deleteMany({ where: { userId } });
  }

  async function leave(userId: string, conversationId: string): Promise<void> {
    await changeConversation(deps, conversationId, async (tx) => {
      await lock(tx, conversationId);
      const member = await tx.membership.findUnique({ where: { conversationId_userId: { conversationId, userId } } });
      if (member) await takeOut(deps, tx, { userId }, member);
    });
  }

  const timer = setInterval(begin, lookMs);
  begin();
  return {
    begin,
    async close() {
      closed = true;
      clearInterval(timer);
      await underWay;
    },
  };
}

/**
 * Deletes the oldest messages of a person in a conversation as if one by one. Nobody is told at once: feeds find them in
 * the log, many at a time.
 * @returns whether there are more.
 */
async function deleteSome(tx: Tx, conversationId: string, userId: string): Promise<boolean> {
  const conversation = await lock(tx, conversationId);
  const rows = await tx.$queryRaw<{ id: string; conversationId: string; seq: number }[]>`
    SELECT id::text, conversation_id::text AS "conversationId", seq FROM messages
    WHERE conversation_id = ${conversationId}::uuid AND sender_id = ${userId}::uuid AND deleted_at IS NULL
    ORDER BY seq LIMIT ${BATCH}`;
  const [first, ...others] = rows;
  if (!conversation || !first) return false;
  await emptyMessages(tx, [first, ...others]);
  await tellOfAll(tx, conversation, 'deleted', userId, rows);
  return rows.length === BATCH;
}

/**
 * Takes a person's reactions to the oldest messages in a conversation back, as if one by one. Nobody is told at once.
 * @returns whether there are more.
 */
async function takeBackSome(tx: Tx, conversationId: string, userId: string): Promise<boolean> {
  const conversation = await lock(tx, conversationId);
  const rows = await tx.$queryRaw<{ id: string }[]>`
    SELECT id::text FROM messages
    WHERE conversation_id = ${conversationId}::uuid AND id IN (SELECT message_id FROM reactions WHERE user_id = ${userId}::uuid)
    ORDER BY seq LIMIT ${BATCH}`;
  if (!conversation || rows.length === 0) return false;
  await removeReactions(
    tx,
    userId,
    rows.map(({ id }) => id),
  );
  await tellOfAll(tx, conversation, 'reacted', userId, rows);
  return rows.length === BATCH;
}

/** Writes a change of each of these messages of a locked conversation into the log, where feeds find them. */
async function tellOfAll(
  tx: Tx,
  { id, changeSeq }: Pick<Conversation, 'id' | 'changeSeq'>,
  type: keyof typeof messageChangeTypes,
  actorId: string,
  messages: readonly { id: string }[],
): Promise<void> {
  await countChanges(tx, id, { changes: messages.length });
  await tx.$executeRaw(Prisma.sql`
    INSERT INTO changes (conversation_id, change_seq, type, message_id, actor_id)
    SELECT ${id}::uuid, ${changeSeq}::int + n::int, ${messageChangeTypes[type]}, message.id, ${actorId}::uuid
    FROM unnest(${messages.map((message) => message.id)}::uuid[]) WITH ORDINALITY AS message (id, n)`);
}
