import {
  type Call,
  type CallEndReason,
  type CallParty,
  type CallSignal,
  type Conversation,
  Prisma,
  type User,
} from '../../generated/prisma/client.js';
import type { Config } from '../../infra/config/config.js';
import type { Db, Sql, SqlTransaction, Tx } from '../../infra/database/database.js';
import { haveBlock } from '../user/reach.store.js';
import { PARTIES_SHOWN_MAX } from './call.settings.js';

/** A device in a call, without the properties that only the server needs. */
export type Party = Pick<
  CallParty,
  'id' | 'callId' | 'userId' | 'state' | 'microphoneOn' | 'cameraOn' | 'screenOn' | 'joinedAt'
> & { user: User };

/** A call with everything that its events contain. */
export type FullCall = Call & { startedBy: User; conversation: Conversation; parties: Party[] };

const callColumns = (name: string) =>
  Prisma.raw(`
  ${name}.id::text, ${name}.conversation_id::text AS "conversationId", ${name}.kind::text AS kind,
  ${name}.state::text AS state, ${name}.started_by_id::text AS "startedById", ${name}.started_at AS "startedAt",
  ${name}.ring_until AS "ringUntil", ${name}.answered_at AS "answeredAt", ${name}.ended_at AS "endedAt",
  ${name}.end_reason::text AS "endReason", ${name}.relay_only AS "relayOnly", ${name}.sfu_room AS "sfuRoom",
  ${name}.version`);

const columns = callColumns('call');

const ms = (duration: number) => Prisma.sql`${Math.ceil(duration)}::bigint * interval '1 millisecond'`;

// ── reading ──

/** The devices of each of these calls, by the id of the call. */
async function findParties(db: Db | Tx, callIds: readonly string[]): Promise<Map<string, Omit<Party, 'user'>[]>> {
  const parties = await db.$queryRaw<Omit<Party, 'user'>[]>`
    SELECT party.* FROM unnest(${callIds}::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (
      SELECT id::text, call_id::text AS "callId", user_id::text AS "userId", state::text AS state,
             microphone_on AS "microphoneOn", camera_on AS "cameraOn", screen_on AS "screenOn", joined_at AS "joinedAt"
      FROM call_parties WHERE call_id = wanted.id
      ORDER BY call_parties.state = 'LEFT', joined_at DESC, id DESC LIMIT ${PARTIES_SHOWN_MAX}::int
    ) party
    ORDER BY party."joinedAt", party.id`;
  const byCall = new Map<string, Omit<Party, 'user'>[]>(callIds.map((id) => [id, []]));
  for (const party of parties) byCall.get(party.callId)?.push(party);
  return byCall;
}

async function complete(db: Db | Tx, calls: readonly Call[]): Promise<FullCall[]> {
  if (calls.length === 0) return [];
  const parties = await findParties(
    db,
    calls.map(({ id }) => id),
  );
  const userIds = new Set(
    calls.flatMap((call) => [call.startedById, ...(parties.get(call.id) ?? []).map(({ userId }) => userId)]),
  );
  const users = new Map(
    (await db.user.findMany({ where: { id: { in: [...userIds] } } })).map((user) => [user.id, user]),
  );
  const conversations = new Map(
    (
      await db.conversation.findMany({
        where: { id: { in: [...new Set(calls.map(({ conversationId }) => conversationId))] } },
        omit: { inputHash: true, searchWords: true },
      })
    ).map((conversation) => [conversation.id, { ...conversation, inputHash: null, searchWords: [] }]),
  );
  return calls.flatMap((call) => {
    const conversation = conversations.get(call.conversationId);
    const startedBy = users.get(call.startedById);
    if (!conversation || !startedBy) return [];
    const full = (parties.get(call.id) ?? []).map((party) => ({ ...party, user: users.get(party.userId) as User }));
    return [{ ...call, startedBy, conversation, parties: full }];
  });
}

/** The calls with these ids, in the same order; null for those that do not exist. */
export async function findFull(db: Db | Tx, ids: readonly string[]): Promise<(FullCall | null)[]> {
  const calls = await db.$queryRaw<Call[]>`
    SELECT ${columns} FROM calls call WHERE id = ANY (${ids}::uuid[])`;
  const byId = new Map((await complete(db, calls)).map((call) => [call.id, call]));
  return ids.map((id) => byId.get(id) ?? null);
}

export async function findCall(db: Db | Tx, id: string): Promise<Call | undefined> {
  const [call] = await db.$queryRaw<Call[]>`SELECT ${columns} FROM calls call WHERE id = ${id}::uuid`;
  return call;
}

/** Which calls a member can see, in SQL about `calls call` and their membership `own`. */
const canSeeCall = Prisma.sql`
  (own.hidden_to_seq = 0 OR call.state <> 'ENDED' OR call.started_at >= own.joined_at)`;

/** These calls, in the same order; null for those that the user cannot see. */
export async function findVisible(db: Db, userId: string, ids: readonly string[]): Promise<(FullCall | null)[]> {
  const calls = await db.$queryRaw<Call[]>`
    SELECT ${columns} FROM calls call
    JOIN memberships own ON own.conversation_id = call.conversation_id AND own.user_id = ${userId}::uuid
    WHERE call.id = ANY (${ids}::uuid[]) AND ${canSeeCall}`;
  const byId = new Map((await complete(db, calls)).map((call) => [call.id, call]));
  return ids.map((id) => byId.get(id) ?? null);
}

/** A page of calls, newest first. */
export interface CallsPage {
  /** The time in ISO 8601 and the id of the row after which the page starts; null for the first page. */
  after: readonly [startedAt: string, id: string] | null;
  limit: number;
}

const beyond = ({ after }: CallsPage) =>
  after
    ? Prisma.sql`AND (call.started_at, call.id) < (${after[0]}::text::timestamptz, ${after[1]}::uuid)`
    : Prisma.empty;

/** The same page of calls of each of these conversations, in the same order; null if the user is not a member. */
export async function findOfConversations(
  db: Db,
  userId: string,
  conversationIds: readonly string[],
  page: CallsPage,
): Promise<(FullCall[] | null)[]> {
  const members = await db.$queryRaw<{ ofId: string; callId: string | null }[]>`
    SELECT own.conversation_id::text AS "ofId", found.id::text AS "callId"
    FROM memberships own
    LEFT JOIN LATERAL (
      SELECT id, started_at FROM calls call
      WHERE call.conversation_id = own.conversation_id AND ${canSeeCall} ${beyond(page)}
      ORDER BY started_at DESC, id DESC LIMIT ${page.limit}::int
    ) found ON true
    WHERE own.user_id = ${userId}::uuid AND own.conversation_id = ANY (${conversationIds}::uuid[])
    ORDER BY found.started_at DESC, found.id DESC`;
  const ids = members.flatMap(({ callId }) => callId ?? []);
  const byId = new Map((await findFull(db, ids)).map((call) => [call?.id, call]));
  const byConversation = new Map<string, FullCall[]>();
  for (const { ofId, callId } of members) {
    const found = byConversation.get(ofId) ?? [];
    byConversation.set(ofId, found);
    const call = callId === null ? undefined : byId.get(callId);
    if (call) found.push(call);
  }
  return conversationIds.map((id) => byConversation.get(id) ?? null);
}

/** A page of the calls in all conversations of a user. Of each conversation, only the rows of the page are read. */
export async function findOfUser(db: Db, userId: string, page: CallsPage): Promise<FullCall[]> {
  const rows = await db.$queryRaw<{ id: string }[]>`
    SELECT found.id::text FROM memberships own
    CROSS JOIN LATERAL (
      SELECT id, started_at FROM calls call
      WHERE call.conversation_id = own.conversation_id AND ${canSeeCall} ${beyond(page)}
      ORDER BY started_at DESC, id DESC LIMIT ${page.limit}::int
    ) found
    WHERE own.user_id = ${userId}::uuid
    ORDER BY found.started_at DESC, found.id DESC LIMIT ${page.limit}::int`;
  const calls = await findFull(
    db,
    rows.map(({ id }) => id),
  );
  return calls.filter((call) => call !== null);
}

/** The live call of each of these conversations, in the same order; null if there is none or the user is not a member. */
export async function findActive(
  db: Db,
  userId: string,
  conversationIds: readonly string[],
): Promise<(FullCall | null)[]> {
  const calls = await db.$queryRaw<Call[]>`
    SELECT ${columns} FROM calls call
    JOIN memberships own ON own.conversation_id = call.conversation_id AND own.user_id = ${userId}::uuid
    WHERE call.conversation_id = ANY (${conversationIds}::uuid[]) AND call.state <> 'ENDED'`;
  const byConversation = new Map((await complete(db, calls)).map((call) => [call.conversationId, call]));
  return conversationIds.map((id) => byConversation.get(id) ?? null);
}

/** A live call as a stream begins with it. */
export type LiveCall = FullCall & { hasDeclined: boolean };

/** The live calls in the conversations of a user with ids after `afterId`, in the order of ids. */
export async function findLive(db: Db, userId: string, afterId: string, limit: number): Promise<LiveCall[]> {
  const rows = await db.$queryRaw<(Call & { hasDeclined: boolean })[]>`
    SELECT ${columns}, EXISTS (
             SELECT FROM call_declines WHERE call_id = call.id AND user_id = own.user_id
           ) AS "hasDeclined"
    FROM calls call
    JOIN memberships own ON own.conversation_id = call.conversation_id AND own.user_id = ${userId}::uuid
    WHERE call.state <> 'ENDED' AND call.id > ${afterId}::uuid
    ORDER BY call.id LIMIT ${limit}::int`;
  return (await complete(db, rows)) as LiveCall[];
}

/** The device of this session in each of these calls that have not ended, in the same order; null if there is none. */
export async function findOwnParties(
  db: Db,
  { userId, sessionId }: { userId: string; sessionId: string },
  callIds: readonly string[],
): Promise<(string | null)[]> {
  const rows = await db.$queryRaw<{ id: string; callId: string }[]>`
    SELECT party.id::text, party.call_id::text AS "callId" FROM call_parties party
    JOIN calls call ON call.id = party.call_id AND call.state <> 'ENDED'
    WHERE party.call_id = ANY (${callIds}::uuid[]) AND party.state <> 'LEFT'
      AND party.user_id = ${userId}::uuid AND party.session_id = ${sessionId}::uuid`;
  return callIds.map((callId) => rows.find((row) => row.callId === callId)?.id ?? null);
}

// ── joining ──

/** The live call of a locked conversation. */
export async function findLiveIn(tx: Tx, conversationId: string): Promise<Call | undefined> {
  const [call] = await tx.$queryRaw<Call[]>`
    SELECT ${columns} FROM calls call WHERE conversation_id = ${conversationId}::uuid AND state <> 'ENDED'`;
  return call;
}

/** The party with which a request with this key joined, and its call. */
export async function findJoined(
  tx: Tx,
  userId: string,
  clientKey: string,
): Promise<Pick<CallParty, 'id' | 'callId' | 'inputHash'> | null> {
  return tx.callParty.findUnique({
    where: { userId_clientKey: { userId, clientKey } },
    select: { id: true, callId: true, inputHash: true },
  });
}

/**
 * Whether each of these users is in a live call with a device that was seen within `lostMs`, in the same order. Concurrent
 * calls of the same user are excluded with `lockCounts`.
 */
export async function findInCall(tx: Tx, userIds: readonly string[], lostMs: number): Promise<boolean[]> {
  const rows = await tx.$queryRaw<{ id: string }[]>`
    SELECT DISTINCT party.user_id::text AS id
    FROM call_parties party JOIN calls call ON call.id = party.call_id
    WHERE party.user_id = ANY (${userIds}::uuid[]) AND party.state <> 'LEFT' AND call.state <> 'ENDED'
      AND party.seen_at > clock_timestamp() - ${ms(lostMs)}`;
  const inCall = new Set(rows.map(({ id }) => id));
  return userIds.map((id) => inCall.has(id));
}

/** Whether the two users have each other as contacts. */
export async function areMutualContacts(tx: Tx, oneId: string, otherIds: readonly string[]): Promise<boolean> {
  const [row] = await tx.$queryRaw<[{ count: number }]>`
    SELECT count(*)::int AS count
    FROM contacts own JOIN contacts other ON other.owner_id = own.user_id AND other.user_id = own.owner_id
    WHERE own.owner_id = ${oneId}::uuid AND own.user_id = ANY (${otherIds}::uuid[])`;
  return row.count === new Set(otherIds).size;
}

/** The users with a device in the call. */
export async function findParticipants(tx: Tx, callId: string): Promise<string[]> {
  const rows = await tx.callParty.findMany({
    where: { callId, state: { not: 'LEFT' } },
    select: { userId: true },
    distinct: ['userId'],
  });
  return rows.map(({ userId }) => userId);
}

/** Stores a new call that rings, or, with an `endReason`, one that has ended already. */
export async function insertCall(
  tx: Tx,
  call: Pick<Call, 'id' | 'conversationId' | 'kind' | 'startedById' | 'relayOnly' | 'sfuRoom' | 'endReason'>,
  ringMs: number,
): Promise<Call> {
  const { id, conversationId, kind, startedById, relayOnly, sfuRoom, endReason } = call;
  const [row] = await tx.$queryRaw<[Call]>`
    INSERT INTO calls AS call (id, conversation_id, kind, state, started_by_id, ring_until, ended_at, end_reason, relay_only,
                               sfu_room)
    SELECT ${id}::uuid, ${conversationId}::uuid, ${kind}::text::"CallKind",
           CASE WHEN reason IS NULL THEN 'RINGING' ELSE 'ENDED' END::"CallState", ${startedById}::uuid,
           clock_timestamp() + ${ms(ringMs)}, CASE WHEN reason IS NOT NULL THEN clock_timestamp() END,
           reason::"CallEndReason", ${relayOnly}::boolean, ${sfuRoom}::text
    FROM (SELECT ${endReason}::text AS reason) given
    RETURNING ${columns}`;
  return row;
}

/** Stores a device that joins a call. */
export const insertParty = (
  tx: Tx,
  party: Pick<CallParty, 'id' | 'callId' | 'userId' | 'sessionId' | 'cameraOn' | 'clientKey' | 'inputHash' | 'state'>,
): Promise<unknown> =>
  tx.callParty.create({
    data: { ...party, ...(party.state === 'LEFT' && { leftAt: new Date() }) },
    select: { id: true },
  });

/**
 * Answers a call that rings, or (in a group) joins one that was answered. The conditions and the change are one statement,
 * by the clock of the database.
 * @returns undefined if the call no longer rings, or is full.
 */
export async function answer(
  tx: Tx,
  callId: string,
  { isGroup, partiesMax, relayOnly }: { isGroup: boolean; partiesMax: number; relayOnly: boolean },
): Promise<Call | undefined> {
  const [call] = await tx.$queryRaw<Call[]>`
    UPDATE calls AS call
    SET state = 'ACTIVE', answered_at = coalesce(answered_at, clock_timestamp()), version = version + 1,
        relay_only = relay_only OR ${relayOnly}::boolean
    WHERE id = ${callId}::uuid
      AND ((state = 'RINGING' AND ring_until > clock_timestamp()) OR (state = 'ACTIVE' AND ${isGroup}::boolean))
      AND (SELECT count(*) FROM call_parties WHERE call_id = call.id AND state <> 'LEFT') < ${partiesMax}::int
    RETURNING ${columns}`;
  return call;
}

// ── ending ──

/** The state in which a call may be ended. */
type Ending = 'RINGING' | 'EXPIRED' | 'ACTIVE' | 'ANY';

const endable: Record<Ending, Prisma.Sql> = {
  RINGING: Prisma.sql`state = 'RINGING'`,
  EXPIRED: Prisma.sql`state = 'RINGING' AND ring_until <= clock_timestamp()`,
  ACTIVE: Prisma.sql`state = 'ACTIVE'`,
  ANY: Prisma.sql`state <> 'ENDED'`,
};

/**
 * Ends a call that is in one of these states, with one statement. Its devices have left then.
 * @returns undefined if it is in another state.
 */
export async function end(tx: Tx, callId: string, from: Ending, reason: CallEndReason): Promise<Call | undefined> {
  const [call] = await tx.$queryRaw<Call[]>`
    WITH call AS (
      UPDATE calls SET state = 'ENDED', ended_at = clock_timestamp(), end_reason = ${reason}::text::"CallEndReason",
                       version = version + 1
      WHERE id = ${callId}::uuid AND ${endable[from]} RETURNING *
    ),
    gone AS (
      UPDATE call_parties SET state = 'LEFT', left_at = clock_timestamp()
      FROM call WHERE call_parties.call_id = call.id AND call_parties.state <> 'LEFT'
    )
    SELECT ${columns} FROM call`;
  return call;
}

/** Records that a device has left. Returns whether it was in the call. */
export async function leave(tx: Tx, { callId, partyId }: { callId: string; partyId: string }): Promise<boolean> {
  const count = await tx.$executeRaw`
    UPDATE call_parties SET state = 'LEFT', left_at = clock_timestamp()
    WHERE id = ${partyId}::uuid AND call_id = ${callId}::uuid AND state <> 'LEFT'`;
  return count > 0;
}

/** Records that all devices of a user have left a call. Returns whether there were any. */
export async function leaveAll(tx: Tx, callId: string, userId: string): Promise<boolean> {
  const count = await tx.$executeRaw`
    UPDATE call_parties SET state = 'LEFT', left_at = clock_timestamp()
    WHERE call_id = ${callId}::uuid AND user_id = ${userId}::uuid AND state <> 'LEFT'`;
  return count > 0;
}

/**
 * Records that a member of a group has declined a call.
 * @returns whether it is new, and the number of members who have declined.
 */
export async function decline(tx: Tx, callId: string, userId: string): Promise<{ isNew: boolean; count: number }> {
  const added = await tx.$executeRaw`
    INSERT INTO call_declines (call_id, user_id) VALUES (${callId}::uuid, ${userId}::uuid) ON CONFLICT DO NOTHING`;
  return { isNew: added > 0, count: await tx.callDecline.count({ where: { callId } }) };
}

/** Marks a live call as changed. */
export async function touchVersion(tx: Tx, callId: string): Promise<Call | undefined> {
  const [call] = await tx.$queryRaw<Call[]>`
    UPDATE calls AS call SET version = version + 1 WHERE id = ${callId}::uuid AND state <> 'ENDED' RETURNING ${columns}`;
  return call;
}

/** The full call after a change, with the conversation as it was counted. */
export async function completeWith(tx: Tx, call: Call, conversation: Conversation): Promise<FullCall> {
  const [full] = await complete(tx, [call]);
  if (!full) throw new Error('The conversation of a call does not exist');
  return { ...full, conversation };
}

// ── devices ──

/** A device of a user. */
export async function findParty(db: Db | Tx, id: string): Promise<CallParty | null> {
  return db.callParty.findUnique({ where: { id } });
}

/** Whether a device sends audio, video and its screen. Absent values are unchanged. */
export type Media = { [Name in 'microphoneOn' | 'cameraOn' | 'screenOn']?: boolean | null | undefined };

/** Stores what a device sends. Returns whether this has changed a device in the call. */
export async function storeMedia(
  tx: Tx,
  { callId, partyId }: { callId: string; partyId: string },
  { microphoneOn, cameraOn, screenOn }: Media,
): Promise<boolean> {
  const count = await tx.$executeRaw`
    UPDATE call_parties SET microphone_on = coalesce(${microphoneOn ?? null}::boolean, microphone_on),
           camera_on = coalesce(${cameraOn ?? null}::boolean, camera_on),
           screen_on = coalesce(${screenOn ?? null}::boolean, screen_on)
    WHERE id = ${partyId}::uuid AND call_id = ${callId}::uuid AND state <> 'LEFT'
      AND (microphone_on, camera_on, screen_on) IS DISTINCT FROM (
        coalesce(${microphoneOn ?? null}::boolean, microphone_on), coalesce(${cameraOn ?? null}::boolean, camera_on),
        coalesce(${screenOn ?? null}::boolean, screen_on))`;
  return count > 0;
}

/**
 * Records that these devices have been seen, except those that another transaction is changing.
 * @returns those that were RECONNECTING, which are no longer.
 */
export const see = (sql: Sql, partyIds: readonly string[]): Promise<{ partyId: string; callId: string }[]> =>
  sql.query(Prisma.sql`
    WITH seen AS (
      UPDATE call_parties SET seen_at = clock_timestamp()
      WHERE id IN (
        SELECT id FROM call_parties WHERE id = ANY (${partyIds}::uuid[]) AND state <> 'LEFT' FOR NO KEY UPDATE SKIP LOCKED
      )
      RETURNING id, call_id, state
    )
    SELECT id::text AS "partyId", call_id::text AS "callId" FROM seen WHERE state = 'RECONNECTING'`);

/** Records that a device is connected again. Returns whether it was not. */
export async function reconnect(tx: Tx, callId: string, partyId: string): Promise<boolean> {
  const count = await tx.$executeRaw`
    UPDATE call_parties SET state = 'CONNECTED', seen_at = clock_timestamp()
    WHERE id = ${partyId}::uuid AND call_id = ${callId}::uuid AND state = 'RECONNECTING'`;
  return count > 0;
}

// ── what is due ──

type Times = Pick<Config, 'callReconnectingAfterMs' | 'callLostAfterMs'>;

// Conditions on `call_parties party`, `calls call`, `conversations` and the settings.

/** Whether a device can no longer take part: its session has ended, or its user is suspended or deleted. */
const isSignedOut = Prisma.sql`NOT EXISTS (
  SELECT FROM sessions JOIN users ON users.id = sessions.user_id
  WHERE sessions.id = party.session_id AND sessions.ended_at IS NULL AND sessions.expires_at > clock_timestamp()
    AND users.suspended_at IS NULL AND users.deleted_at IS NULL)`;

const isSilentFor = (duration: number) => Prisma.sql`party.seen_at <= clock_timestamp() - ${ms(duration)}`;

/**
 * Whether a silent device is treated as lost although others are not silent: in a group, or because its user is in
 * another call.
 */
const isReplaced = Prisma.sql`(
  EXISTS (SELECT FROM conversations WHERE conversations.id = call.conversation_id AND conversations.kind = 'GROUP')
  OR EXISTS (SELECT FROM call_parties other JOIN calls later ON later.id = other.call_id AND later.state <> 'ENDED'
             WHERE other.user_id = party.user_id AND other.call_id <> party.call_id AND other.state <> 'LEFT'
               AND other.joined_at > party.joined_at))`;

/** The condition for devices to be removed from a call. */
const hasGone = ({ callLostAfterMs }: Times, canLose: boolean) =>
  Prisma.sql`(${isSignedOut} OR (${canLose}::boolean AND ${isSilentFor(callLostAfterMs)} AND ${isReplaced}))`;

/** Whether nobody can answer a direct call that rings: the other user is suspended or deleted, or one has blocked the other. */
const isUnanswerable = Prisma.sql`(call.state = 'RINGING' AND EXISTS (
  SELECT FROM conversations
  JOIN memberships other ON other.conversation_id = conversations.id AND other.user_id <> call.started_by_id
  JOIN users ON users.id = other.user_id
  WHERE conversations.id = call.conversation_id AND conversations.kind = 'DIRECT'
    AND (users.suspended_at IS NOT NULL OR users.deleted_at IS NOT NULL
      OR ${haveBlock(Prisma.raw('users.id'), Prisma.raw('call.started_by_id'))})))`;

const areAllLost = ({ callLostAfterMs }: Times) => Prisma.sql`(call.state = 'ACTIVE' AND NOT EXISTS (
  SELECT FROM call_parties party
  WHERE party.call_id = call.id AND party.state <> 'LEFT' AND NOT ${isSilentFor(callLostAfterMs)}))`;

/**
 * Claims the live calls for which the time, or something outside of them, has something to change. Calls that another
 * transaction is changing are left out.
 * @param canLose whether devices that were not seen for long are treated as lost. It is false while the nodes
 *   themselves may have been the reason.
 */
export const claimDue = (sql: Sql, times: Times, canLose: boolean, claimMs: number): Promise<DueCall[]> =>
  sql.query(Prisma.sql`
    UPDATE calls SET claimed_until = clock_timestamp() + ${ms(claimMs)}
    WHERE id IN (
      SELECT id FROM calls call
      WHERE call.state <> 'ENDED' AND call.claimed_until <= clock_timestamp() AND (
        (call.state = 'RINGING' AND call.ring_until <= clock_timestamp())
        OR ${isUnanswerable}
        OR (${canLose}::boolean AND ${areAllLost(times)})
        OR EXISTS (
          SELECT FROM call_parties party
          WHERE party.call_id = call.id AND party.state <> 'LEFT' AND (
            (party.state = 'CONNECTED' AND ${isSilentFor(times.callReconnectingAfterMs)})
            OR ${hasGone(times, canLose)}
          )
        )
      )
      ORDER BY id LIMIT ${DUE_MAX}::int FOR NO KEY UPDATE SKIP LOCKED
    )
    RETURNING id::text, conversation_id::text AS "conversationId", version`);

export type DueCall = Pick<Call, 'id' | 'conversationId' | 'version'>;

/** The maximum number of calls that are claimed at once. */
const DUE_MAX = 50;

/** Ends the claim of a call. */
export const releaseCall = (sql: Sql, id: string): Promise<unknown> =>
  sql.query(Prisma.sql`UPDATE calls SET claimed_until = '-infinity' WHERE id = ${id}::uuid`);

/** Whether nobody can answer a direct call that rings. */
export async function cannotBeAnswered(tx: Tx, callId: string): Promise<boolean> {
  const rows = await tx.$queryRaw<object[]>`SELECT FROM calls call WHERE id = ${callId}::uuid AND ${isUnanswerable}`;
  return rows.length > 0;
}

/** Removes the devices that can no longer take part. Returns the ids of their users. */
export async function removeGone(tx: Tx, callId: string, times: Times, canLose: boolean): Promise<string[]> {
  const rows = await tx.$queryRaw<{ userId: string }[]>`
    UPDATE call_parties AS party SET state = 'LEFT', left_at = clock_timestamp()
    FROM calls call
    WHERE party.call_id = ${callId}::uuid AND call.id = party.call_id AND party.state <> 'LEFT'
      AND ${hasGone(times, canLose)}
    RETURNING party.user_id::text AS "userId"`;
  return rows.map(({ userId }) => userId);
}

/** Marks the devices that have not been seen for some time. Returns whether there were any. */
export async function markReconnecting(tx: Tx, callId: string, times: Times): Promise<boolean> {
  const count = await tx.$executeRaw`
    UPDATE call_parties AS party SET state = 'RECONNECTING'
    WHERE call_id = ${callId}::uuid AND state = 'CONNECTED' AND ${isSilentFor(times.callReconnectingAfterMs)}`;
  return count > 0;
}

/** Whether all devices of an answered call have not been seen for long. */
export async function isLost(tx: Tx, callId: string, times: Times): Promise<boolean> {
  const rows = await tx.$queryRaw<object[]>`
    SELECT FROM calls call WHERE id = ${callId}::uuid AND ${areAllLost(times)}`;
  return rows.length > 0;
}

/** The number of live calls, of all nodes. */
export async function countLive(sql: Sql): Promise<number> {
  const [row] = await sql.query<{ count: number }>(
    Prisma.sql`SELECT count(*)::int AS count FROM calls WHERE state <> 'ENDED'`,
  );
  return row?.count ?? 0;
}

/** The number of milliseconds until the next call stops ringing; null if none rings. */
export async function nextRingEndMs(sql: Sql): Promise<{ isAnyLive: boolean; ms: number | null }> {
  const [row] = await sql.query<{ isAnyLive: boolean; ms: number | null }>(Prisma.sql`
    SELECT count(*) > 0 AS "isAnyLive",
           (extract(epoch FROM min(ring_until) FILTER (WHERE state = 'RINGING') - clock_timestamp()) * 1000)::float8 AS ms
    FROM calls WHERE state <> 'ENDED'`);
  return row ?? { isAnyLive: false, ms: null };
}

// ── signals ──

/** The outcome of sending signals. */
export interface SignalsStored {
  /** The user of the party that receives them; null if it is not in the call. */
  toUserId: string | null;
  /** The number of the last signal; null if none were stored. */
  lastSeq: number | null;
  /** Whether too many signals wait for the party. */
  isFull: boolean;
}

/**
 * Removes the signals that a device has acknowledged, and stores its own to another one, with one statement. The numbers
 * are assigned under the lock of the receiving device, so that they are in the order of commits.
 * @returns undefined if the device is not one of this session in this call.
 */
export async function exchangeSignals(
  sql: SqlTransaction,
  input: {
    callId: string;
    fromPartyId: string;
    toPartyId: string;
    userId: string;
    sessionId: string;
    payloads: readonly string[];
    acknowledgedSeq: number;
    waitingMax: number;
  },
): Promise<SignalsStored | undefined> {
  const { callId, fromPartyId, toPartyId, userId, sessionId, payloads, acknowledgedSeq, waitingMax } = input;
  // Before anything is written, and in the order in which the signals are numbered. Both statements are sent together.
  const locking = sql.query(
    Prisma.sql`SELECT FROM call_parties WHERE id = ${toPartyId}::uuid FOR NO KEY UPDATE`,
    'lockSignalReceiver',
  );
  const exchanging = sql.query<SignalsStored>(
    Prisma.sql`
    WITH sender AS MATERIALIZED (
      SELECT party.id, party.state FROM call_parties party
      WHERE party.id = ${fromPartyId}::uuid AND party.call_id = ${callId}::uuid AND party.user_id = ${userId}::uuid
        AND party.session_id = ${sessionId}::uuid
    ),
    acknowledged AS (
      DELETE FROM call_signals signal USING sender
      WHERE signal.to_party_id = sender.id AND signal.seq <= ${acknowledgedSeq}::int
    ),
    waiting AS MATERIALIZED (
      SELECT count(*) + ${payloads.length}::int > ${waitingMax}::int AS is_full
      FROM call_signals WHERE to_party_id = ${toPartyId}::uuid
    ),
    receiver AS (
      UPDATE call_parties party SET signal_seq = signal_seq + ${payloads.length}::int
      FROM sender, waiting
      WHERE party.id = ${toPartyId}::uuid AND party.call_id = ${callId}::uuid AND party.state <> 'LEFT'
        AND sender.state <> 'LEFT' AND NOT waiting.is_full AND ${payloads.length}::int > 0
      RETURNING party.id, party.user_id, party.signal_seq
    ),
    stored AS (
      INSERT INTO call_signals (to_party_id, seq, call_id, from_party_id, payload)
      SELECT receiver.id, receiver.signal_seq - ${payloads.length}::int + given.n::int, ${callId}::uuid,
             ${fromPartyId}::uuid, given.payload
      FROM receiver, unnest(${payloads}::text[]) WITH ORDINALITY AS given (payload, n)
    )
    SELECT receiver.user_id::text AS "toUserId", receiver.signal_seq AS "lastSeq", waiting.is_full AS "isFull"
    FROM sender CROSS JOIN waiting LEFT JOIN receiver ON true`,
    'exchangeSignals',
  );
  const [, [row]] = await Promise.all([locking, exchanging]);
  return row;
}

const signalColumns = Prisma.sql`
  to_party_id::text AS "toPartyId", seq, call_id::text AS "callId", from_party_id::text AS "fromPartyId", payload`;

/** Signals to a device after a number, in order. */
export const findSignals = (db: Db, toPartyId: string, afterSeq: number, limit: number): Promise<CallSignal[]> =>
  db.$queryRaw`
    SELECT ${signalColumns} FROM call_signals
    WHERE to_party_id = ${toPartyId}::uuid AND seq > ${afterSeq}::int ORDER BY seq LIMIT ${limit}::int`;

/** All signals that these devices have not acknowledged, in the same order; null where there are none. */
export async function findWaitingSignals(db: Db, partyIds: readonly string[]): Promise<(CallSignal[] | null)[]> {
  const rows = await db.$queryRaw<CallSignal[]>`
    SELECT ${signalColumns} FROM call_signals WHERE to_party_id = ANY (${partyIds}::uuid[]) ORDER BY to_party_id, seq`;
  const byParty = new Map<string, CallSignal[]>();
  for (const row of rows) {
    const own = byParty.get(row.toPartyId);
    if (own) own.push(row);
    else byParty.set(row.toPartyId, [row]);
  }
  return partyIds.map((id) => byParty.get(id) ?? null);
}

/** Deletes the signals of calls that ended more than `afterMs` ago. Returns the number of deleted rows. */
export const deleteSignals = async (sql: Sql, afterMs: number): Promise<number> =>
  (
    await sql.query(Prisma.sql`
      DELETE FROM call_signals USING calls call
      WHERE call.id = call_signals.call_id AND call.ended_at <= clock_timestamp() - ${ms(afterMs)} RETURNING seq`)
  ).length;
