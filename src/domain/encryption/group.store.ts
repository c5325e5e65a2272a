import { type Conversation, type GroupCommit, Prisma } from '../../generated/prisma/client.js';
import { type Db, queryIn, type Sql, type SqlTransaction, type Tx } from '../../infra/database/database.js';
import type { Change } from '../../realtime/change.js';
import { conversationColumns } from '../conversation/conversation.store.js';
import { isReachable } from '../user/reach.store.js';
import type { Device } from './device.store.js';

export type { GroupCommit };

/** Locks a conversation until the end of the transaction; undefined if it does not exist. */
export async function lockForCommit(sql: SqlTransaction, id: string): Promise<Conversation | undefined> {
  const [row] = await sql.query<Conversation>(
    Prisma.sql`SELECT ${conversationColumns} FROM conversations WHERE id = ${id}::uuid FOR NO KEY UPDATE`,
    'lockForCommit',
  );
  return row;
}

/** What decides about a commit. */
export interface CommitState {
  isActive: boolean;
  isMember: boolean;
  /** Whether the other user of a direct conversation can be reached; true for groups. */
  isReachable: boolean;
  /** Whether the committing device belongs to the viewer and has not ended. */
  ownsDevice: boolean;
  /** The stored commit of this device that begins from the same epoch, if it has the same content. */
  repeatedId: string | null;
  /** All devices in the group. */
  inGroup: { deviceId: string; leaving: boolean }[];
  /** Those of the devices to add that have not ended and belong to members. */
  addable: { deviceId: string; userId: string }[];
  /** Those of the users with sealed keys who are members. */
  memberIds: string[];
}

/**
 * Reads, under the lock of the conversation, what decides about a commit. The devices to add are locked until the end of the
 * transaction, so that one that ends afterwards is marked as leaving.
 */
export async function readCommitState(
  sql: SqlTransaction,
  given: {
    viewerId: string;
    conversationId: string;
    /** The other user of a direct conversation. */
    counterpartId: string | null;
    deviceId: string;
    generation: number;
    epoch: number;
    commit: Uint8Array;
    addedIds: readonly string[];
    sealedForIds: readonly string[];
  },
): Promise<CommitState> {
  const { viewerId, conversationId, counterpartId, deviceId, generation, epoch, commit, addedIds, sealedForIds } =
    given;
  const [row] = await sql.query<CommitState>(
    Prisma.sql`
    WITH person AS MATERIALIZED (
      SELECT id FROM users WHERE id = ${viewerId}::uuid AND deleted_at IS NULL AND suspended_at IS NULL FOR SHARE
    ),
    usable AS MATERIALIZED (
      SELECT id, user_id FROM devices
      WHERE id = ANY (${[deviceId, ...addedIds]}::uuid[]) AND ended_at IS NULL AND (SELECT count(*) FROM person) >= 0
      ORDER BY id FOR SHARE
    )
    SELECT EXISTS (SELECT FROM person) AS "isActive",
           EXISTS (
             SELECT FROM memberships WHERE conversation_id = ${conversationId}::uuid AND user_id = ${viewerId}::uuid
           ) AS "isMember",
           ${counterpartId}::uuid IS NULL OR EXISTS (
             SELECT FROM users WHERE id = ${counterpartId}::uuid AND ${isReachable(Prisma.sql`${viewerId}::uuid`)}
           ) AS "isReachable",
           EXISTS (SELECT FROM usable WHERE id = ${deviceId}::uuid AND user_id = ${viewerId}::uuid) AS "ownsDevice",
           (
             SELECT id::text FROM group_commits
             WHERE conversation_id = ${conversationId}::uuid AND generation = ${generation}::int AND epoch = ${epoch}::int
               AND device_id = ${deviceId}::uuid AND commit = decode(${hexOf(commit)}::text, 'hex')
           ) AS "repeatedId",
           coalesce((
             SELECT json_agg(json_build_object('deviceId', device_id, 'leaving', leaving)) FROM group_devices
             WHERE conversation_id = ${conversationId}::uuid
           ), '[]') AS "inGroup",
           coalesce((
             SELECT json_agg(json_build_object('deviceId', usable.id, 'userId', usable.user_id)) FROM usable
             JOIN memberships ON memberships.conversation_id = ${conversationId}::uuid
               AND memberships.user_id = usable.user_id
           ), '[]') AS addable,
           ARRAY(
             SELECT user_id::text FROM memberships
             WHERE conversation_id = ${conversationId}::uuid AND user_id = ANY (${sealedForIds}::uuid[])
           ) AS "memberIds"`,
    'readCommitState',
  );
  return row as CommitState;
}

const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** A commit to store, with what belongs to it. */
export interface StoredCommit {
  commit: Pick<GroupCommit, 'id' | 'conversationId' | 'generation' | 'epoch' | 'deviceId' | 'commit'>;
  change: Change;
  groupInfo: Uint8Array;
  /** The devices that are in the group from now on, with their welcomes. */
  joining: readonly { deviceId: string; userId: string; welcome: Uint8Array | undefined }[];
  /** The devices that are not in the group any more; null for all that do not join. */
  removedIds: readonly string[] | null;
  sealedKeys: readonly { userId: string; epoch: number; sealed: Uint8Array }[];
}

/** A statement that stores a commit as the last one of the transaction that has locked the conversation. */
export const storingCommit = ({
  commit: { id, conversationId, generation, epoch, deviceId, commit },
  change,
  groupInfo,
  joining,
  removedIds,
  sealedKeys,
}: StoredCommit): Prisma.Sql => Prisma.sql`
  WITH counted AS (
    UPDATE conversations
    SET change_seq = ${change.changeSeq}::int, group_generation = ${generation}::int, group_epoch = ${epoch + 1}::int
    WHERE id = ${conversationId}::uuid
  ),
  stored AS (
    INSERT INTO group_commits (id, conversation_id, generation, epoch, device_id, commit)
    VALUES (${id}::uuid, ${conversationId}::uuid, ${generation}::int, ${epoch}::int, ${deviceId}::uuid,
            decode(${hexOf(commit)}::text, 'hex'))
  ),
  described AS (
    INSERT INTO group_states (conversation_id, group_info)
    VALUES (${conversationId}::uuid, decode(${hexOf(groupInfo)}::text, 'hex'))
    ON CONFLICT (conversation_id) DO UPDATE SET group_info = excluded.group_info
  ),
  removed AS (
    DELETE FROM group_devices
    WHERE conversation_id = ${conversationId}::uuid
      AND (${removedIds === null}::boolean OR device_id = ANY (${removedIds ?? []}::uuid[]))
      AND device_id <> ALL (${joining.map((each) => each.deviceId)}::uuid[])
  ),
  welcomed AS (
    -- A device that commits has joined, so that it needs its welcome no more.
    UPDATE group_devices SET welcome = NULL
    WHERE conversation_id = ${conversationId}::uuid AND device_id = ${deviceId}::uuid AND welcome IS NOT NULL
      AND device_id <> ALL (${joining.map((each) => each.deviceId)}::uuid[])
  ),
  joined AS (
    INSERT INTO group_devices (conversation_id, device_id, user_id, since_epoch, welcome)
    SELECT ${conversationId}::uuid, device_id, user_id, ${epoch + 1}::int, decode(nullif(welcome, ''), 'hex')
    FROM unnest(${joining.map((each) => each.deviceId)}::uuid[], ${joining.map((each) => each.userId)}::uuid[],
                ${joining.map(({ welcome }) => (welcome ? hexOf(welcome) : ''))}::text[])
         AS joining (device_id, user_id, welcome)
    ON CONFLICT (conversation_id, device_id) DO UPDATE
    SET since_epoch = excluded.since_epoch, welcome = excluded.welcome, leaving = false
  ),
  sealed AS (
    INSERT INTO sealed_keys (user_id, conversation_id, generation, epoch, sealed)
    SELECT user_id, ${conversationId}::uuid, ${generation}::int, epoch, decode(sealed, 'hex')
    FROM unnest(${sealedKeys.map((each) => each.userId)}::uuid[], ${sealedKeys.map((each) => each.epoch)}::int[],
                ${sealedKeys.map(({ sealed }) => hexOf(sealed))}::text[]) AS key (user_id, epoch, sealed)
    -- The first one counts, so that nobody can replace a key that works.
    ON CONFLICT DO NOTHING
  )
  INSERT INTO changes (conversation_id, change_seq, type, subject_id, actor_id)
  VALUES (${conversationId}::uuid, ${change.changeSeq}::int, ${change.type}, ${id}::uuid, ${change.actorId}::uuid)`;

/** The position of a device in the group of a conversation, for a message that it sends. */
export interface SendingDevice {
  /** The user of the device if it is in the group and need not leave it. */
  userId: string | null;
  /** Whether the next commit must remove a device. */
  isRekeyDue: boolean;
}

/** The position of each of these devices, in the same order. */
export const findSendingDevices = (
  tx: Tx | SqlTransaction,
  pairs: readonly { conversationId: string; deviceId: string }[],
): Promise<SendingDevice[]> =>
  queryIn<SendingDevice>(
    tx,
    Prisma.sql`
    SELECT sending.user_id::text AS "userId",
           EXISTS (SELECT FROM group_devices WHERE conversation_id = pair.conversation_id AND leaving) AS "isRekeyDue"
    FROM unnest(${pairs.map(({ conversationId }) => conversationId)}::uuid[], ${pairs.map(({ deviceId }) => deviceId)}::uuid[])
         WITH ORDINALITY AS pair (conversation_id, device_id, n)
    LEFT JOIN LATERAL (
      SELECT user_id FROM group_devices
      WHERE conversation_id = pair.conversation_id AND device_id = pair.device_id AND NOT leaving LIMIT 1
    ) sending ON true
    ORDER BY pair.n`,
    'sendingDevices',
  );

/** What members read of the group of a conversation. */
export interface GroupRow {
  conversationId: string;
  generation: number;
  epoch: number;
  groupInfo: Uint8Array | null;
}

/** The groups of these conversations, as far as they are encrypted and the user is a member, in the same order. */
export async function findGroups(sql: Sql, userId: string, ids: readonly string[]): Promise<(GroupRow | null)[]> {
  const rows = await sql.query<GroupRow>(Prisma.sql`
    SELECT conversations.id::text AS "conversationId", group_generation AS generation, group_epoch AS epoch,
           group_info AS "groupInfo"
    FROM conversations
    JOIN memberships ON memberships.conversation_id = conversations.id AND memberships.user_id = ${userId}::uuid
    LEFT JOIN group_states ON group_states.conversation_id = conversations.id
    WHERE conversations.id = ANY (${ids}::uuid[]) AND encryption <> 'NONE'`);
  const byId = new Map(rows.map((row) => [row.conversationId, row]));
  return ids.map((id) => byId.get(id) ?? null);
}

/** The devices in the group of a conversation, also those that must leave it. */
export const findDevicesInGroup = (sql: Sql, conversationId: string): Promise<Device[]> =>
  findDuties(
    sql,
    Prisma.sql`
    JOIN group_devices ON group_devices.device_id = device.id
    WHERE group_devices.conversation_id = ${conversationId}::uuid`,
  );

/** The devices that the next commit must remove from the group of a conversation. */
export const findDevicesToRemove = (sql: Sql, conversationId: string): Promise<Device[]> =>
  findDuties(
    sql,
    Prisma.sql`
    JOIN group_devices ON group_devices.device_id = device.id
    WHERE group_devices.conversation_id = ${conversationId}::uuid AND group_devices.leaving`,
  );

/** The devices of members that have not ended and are not in the group of a conversation. */
export const findDevicesToAdd = (sql: Sql, conversationId: string, limit: number): Promise<Device[]> =>
  findDuties(
    sql,
    Prisma.sql`
    JOIN memberships ON memberships.user_id = device.user_id
    WHERE memberships.conversation_id = ${conversationId}::uuid AND device.ended_at IS NULL
      AND NOT EXISTS (
        SELECT FROM group_devices
        WHERE group_devices.conversation_id = ${conversationId}::uuid AND group_devices.device_id = device.id
      )`,
    limit,
  );

const findDuties = (sql: Sql, condition: Prisma.Sql, limit: number | null = null): Promise<Device[]> =>
  sql.query<Device>(Prisma.sql`
    SELECT device.id::text, device.user_id::text AS "userId", device.session_id::text AS "sessionId", device.name,
           device.signature_key AS "signatureKey", device.certificate, device.created_at AS "createdAt",
           device.ended_at AS "endedAt"
    FROM devices device ${condition}
    ORDER BY device.created_at, device.id LIMIT ${limit}::int`);

/** The number of rows deleted per statement, so that locks are short. */
const TRIM_BATCH = 1_000;

/** Deletes commits that are older than the retention period. Returns their number. */
export async function trimCommits(db: Db, retentionMs: number): Promise<number> {
  for (let trimmed = 0; ; ) {
    const count = await db.$executeRaw`
      DELETE FROM group_commits WHERE id IN (
        SELECT id FROM group_commits
        WHERE created_at < clock_timestamp() - ${retentionMs}::float8 * interval '1 millisecond'
        ORDER BY created_at LIMIT ${TRIM_BATCH} FOR UPDATE SKIP LOCKED
      )`;
    trimmed += count;
    if (count < TRIM_BATCH) return trimmed;
  }
}

/** A page of the commits of a conversation, oldest first. */
export const findCommits = (
  db: Db,
  conversationId: string,
  after: readonly [generation: number, epoch: number] | undefined,
  limit: number,
): Promise<GroupCommit[]> =>
  db.groupCommit.findMany({
    where: {
      conversationId,
      ...(after && { OR: [{ generation: { gt: after[0] } }, { generation: after[0], epoch: { gt: after[1] } }] }),
    },
    orderBy: [{ generation: 'asc' }, { epoch: 'asc' }],
    take: limit,
  });

/** A key of an epoch, sealed for one user. */
export interface SealedKeyRow {
  generation: number;
  epoch: number;
  sealed: Uint8Array;
}

/** A page of the keys that are sealed for a user in a conversation, the newest first. */
export const findSealedKeys = (
  db: Db,
  { conversationId, userId }: { conversationId: string; userId: string },
  after: readonly [generation: number, epoch: number] | undefined,
  limit: number,
): Promise<SealedKeyRow[]> =>
  db.sealedKey.findMany({
    where: {
      conversationId,
      userId,
      ...(after && { OR: [{ generation: { lt: after[0] } }, { generation: after[0], epoch: { lt: after[1] } }] }),
    },
    orderBy: [{ generation: 'desc' }, { epoch: 'desc' }],
    take: limit,
  });

/** Stores keys that a user has sealed for their own account, in place of earlier ones. */
export async function storeOwnSealedKeys(
  tx: Tx,
  { conversationId, userId }: { conversationId: string; userId: string },
  keys: readonly SealedKeyRow[],
): Promise<void> {
  await tx.$executeRaw`
    INSERT INTO sealed_keys (user_id, conversation_id, generation, epoch, sealed)
    SELECT ${userId}::uuid, ${conversationId}::uuid, generation, epoch, decode(sealed, 'hex')
    FROM unnest(${keys.map(({ generation }) => generation)}::int[], ${keys.map(({ epoch }) => epoch)}::int[],
                ${keys.map(({ sealed }) => hexOf(sealed))}::text[]) AS key (generation, epoch, sealed)
    ORDER BY generation, epoch
    ON CONFLICT (user_id, conversation_id, generation, epoch) DO UPDATE SET sealed = excluded.sealed`;
}

/** The welcome for a device of the user in the group of a conversation. */
export async function findWelcome(
  db: Db,
  { conversationId, userId, deviceId }: { conversationId: string; userId: string; deviceId: string },
): Promise<Uint8Array | null> {
  const row = await db.groupDevice.findUnique({
    where: { conversationId_deviceId: { conversationId, deviceId }, userId },
    select: { welcome: true },
  });
  return row?.welcome ?? null;
}

/** Commits by their ids, in the same order. */
export async function findCommitsById(db: Db, ids: readonly string[]): Promise<(GroupCommit | null)[]> {
  const rows = await db.groupCommit.findMany({ where: { id: { in: [...ids] } } });
  const byId = new Map(rows.map((commit) => [commit.id, commit]));
  return ids.map((id) => byId.get(id) ?? null);
}
