import { type AccountKeys, type Device, Prisma } from '../../generated/prisma/client.js';
import type { Db, Sql, SqlTransaction, Tx } from '../../infra/database/database.js';

export type { AccountKeys, Device };

/** The columns of `devices` as the alias `device`, in statements that join. */
const columns = Prisma.raw(
  `device.id::text, device.user_id::text AS "userId", device.session_id::text AS "sessionId", device.name,
   device.signature_key AS "signatureKey", device.certificate, device.created_at AS "createdAt", device.ended_at AS "endedAt"`,
);

/** Devices by their ids, in the same order. Those that have ended exist as well. */
export async function findDevices(db: Db, ids: readonly string[]): Promise<(Device | null)[]> {
  const rows = await db.device.findMany({ where: { id: { in: [...ids] } } });
  const byId = new Map(rows.map((device) => [device.id, device]));
  return ids.map((id) => byId.get(id) ?? null);
}

/** SQL for whether two users have a conversation in common; both are SQL expressions. */
const shareConversation = (one: Prisma.Sql, other: Prisma.Sql) => Prisma.sql`
  EXISTS (
    SELECT FROM memberships mine JOIN memberships theirs USING (conversation_id)
    WHERE mine.user_id = ${one} AND theirs.user_id = ${other}
  )`;

/** Those of these devices that the user can see: their own, and those of users with whom they share a conversation. */
export async function findVisibleDevices(sql: Sql, userId: string, ids: readonly string[]): Promise<(Device | null)[]> {
  const viewer = Prisma.sql`${userId}::uuid`;
  const rows = await sql.query<Device>(Prisma.sql`
    SELECT ${columns} FROM devices device
    WHERE device.id = ANY (${ids}::uuid[])
      AND (device.user_id = ${viewer} OR ${shareConversation(viewer, Prisma.sql`device.user_id`)})`);
  const byId = new Map(rows.map((device) => [device.id, device]));
  return ids.map((id) => byId.get(id) ?? null);
}

/** Whether each of these users is the viewer or shares a conversation with the viewer, in the same order. */
export async function findSharing(sql: Sql, viewerId: string, userIds: readonly string[]): Promise<boolean[]> {
  const viewer = Prisma.sql`${viewerId}::uuid`;
  const rows = await sql.query<{ shares: boolean }>(Prisma.sql`
    SELECT other.id = ${viewer} OR ${shareConversation(viewer, Prisma.sql`other.id`)} AS shares
    FROM unnest(${userIds}::uuid[]) WITH ORDINALITY AS other (id, n)
    ORDER BY other.n`);
  return rows.map(({ shares }) => shares);
}

/** The devices of each of these users that have not ended, oldest first, in the order of the users. */
export async function findDevicesOf(db: Db, userIds: readonly string[]): Promise<Device[][]> {
  const rows = await db.device.findMany({
    where: { userId: { in: [...userIds] }, endedAt: null },
    orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
  });
  return userIds.map((id) => rows.filter(({ userId }) => userId === id));
}

/** The keys of each of these accounts, in the same order. */
export async function findAccountKeys(db: Db, userIds: readonly string[]): Promise<(AccountKeys | null)[]> {
  const rows = await db.accountKeys.findMany({ where: { userId: { in: [...userIds] } } });
  const byUser = new Map(rows.map((keys) => [keys.userId, keys]));
  return userIds.map((id) => byUser.get(id) ?? null);
}

/** Locks a session until the end of the transaction, so that it does not end before. False if it has ended. */
export async function holdSession(tx: Tx, sessionId: string): Promise<boolean> {
  const rows = await tx.$queryRaw<unknown[]>`
    SELECT FROM sessions WHERE id = ${sessionId}::uuid AND ended_at IS NULL FOR SHARE`;
  return rows.length > 0;
}

/** Locks a device that has not ended until the end of the transaction; undefined if the user has no such device. */
export async function lockOwnDevice(
  tx: Tx,
  { userId, id }: { userId: string; id: string },
): Promise<Device | undefined> {
  const [row] = await tx.$queryRaw<Device[]>`
    SELECT ${columns} FROM devices device
    WHERE device.id = ${id}::uuid AND device.user_id = ${userId}::uuid AND device.ended_at IS NULL FOR UPDATE`;
  return row;
}

/** A key package, and its SHA-256 hash. */
export interface PublishedPackage {
  content: Uint8Array<ArrayBuffer>;
  hash: Uint8Array<ArrayBuffer>;
}

/** Stores the key packages of a locked device that it has not published yet. */
export async function storeKeyPackages(
  tx: Tx,
  deviceId: string,
  packages: readonly PublishedPackage[],
  { lastResort }: { lastResort: boolean },
): Promise<void> {
  await tx.keyPackage.createMany({
    data: packages.map(({ content, hash }) => ({ deviceId, content, hash, lastResort })),
    skipDuplicates: true,
  });
}

/** Deletes the last resorts of a locked device other than this one. */
export async function deleteOtherLastResorts(tx: Tx, deviceId: string, hash: Uint8Array<ArrayBuffer>): Promise<void> {
  await tx.keyPackage.deleteMany({ where: { deviceId, lastResort: true, hash: { not: hash } } });
}

/** SQL for whether a row of `key_packages` with the alias `package` can be given out. */
const isAvailable = (lifetimeMs: number) => Prisma.sql`
  package.content IS NOT NULL
    AND package.created_at > statement_timestamp() - ${lifetimeMs}::float8 * interval '1 millisecond'`;

/** The number of key packages of a device that can be claimed, without the last resort. */
export async function countKeyPackages(tx: Tx, deviceId: string, lifetimeMs: number): Promise<number> {
  const [row] = await tx.$queryRaw<[{ count: number }]>`
    SELECT count(*)::int AS count FROM key_packages package
    WHERE package.device_id = ${deviceId}::uuid AND NOT package.last_resort AND ${isAvailable(lifetimeMs)}`;
  return row.count;
}

/** Which of these devices have not ended and belong to members of the conversation, if it is encrypted and the user is a member. */
export async function findClaimable(
  sql: SqlTransaction,
  { conversationId, userId, deviceIds }: { conversationId: string; userId: string; deviceIds: readonly string[] },
): Promise<{ isMember: boolean; isEncrypted: boolean; devices: Device[] }> {
  const [own] = await sql.query<{ isEncrypted: boolean }>(Prisma.sql`
    SELECT conversations.encryption <> 'NONE' AS "isEncrypted"
    FROM memberships JOIN conversations ON conversations.id = memberships.conversation_id
    WHERE conversation_id = ${conversationId}::uuid AND user_id = ${userId}::uuid`);
  if (!own?.isEncrypted) return { isMember: own !== undefined, isEncrypted: false, devices: [] };
  const devices = await sql.query<Device>(Prisma.sql`
    SELECT ${columns} FROM devices device
    JOIN memberships ON memberships.user_id = device.user_id AND memberships.conversation_id = ${conversationId}::uuid
    WHERE device.id = ANY (${deviceIds}::uuid[]) AND device.ended_at IS NULL`);
  return { isMember: true, isEncrypted: true, devices };
}

/** A key package that was claimed. */
export interface Claimed {
  deviceId: string;
  content: Uint8Array;
  lastResort: boolean;
}

/**
 * Takes one key package of each of these devices, the oldest first, which nobody else can claim afterwards; the last resort
 * of a device that has no other. Devices without any are omitted.
 */
export function takeKeyPackages(
  sql: SqlTransaction,
  deviceIds: readonly string[],
  lifetimeMs: number,
): Promise<Claimed[]> {
  return sql.query<Claimed>(Prisma.sql`
    WITH picked AS MATERIALIZED (
      SELECT wanted.n, wanted.device_id, oldest.hash, oldest.content
      FROM unnest(${deviceIds}::uuid[]) WITH ORDINALITY AS wanted (device_id, n)
      LEFT JOIN LATERAL (
        SELECT package.hash, package.content FROM key_packages package
        WHERE package.device_id = wanted.device_id AND NOT package.last_resort AND ${isAvailable(lifetimeMs)}
        ORDER BY package.created_at, package.hash LIMIT 1 FOR UPDATE SKIP LOCKED
      ) oldest ON true
    ),
    taken AS (
      UPDATE key_packages package SET content = NULL
      FROM picked WHERE package.device_id = picked.device_id AND package.hash = picked.hash
    )
    SELECT picked.device_id::text AS "deviceId", coalesce(picked.content, last.content) AS content,
           picked.content IS NULL AS "lastResort"
    FROM picked
    LEFT JOIN LATERAL (
      SELECT package.content FROM key_packages package
      WHERE package.device_id = picked.device_id AND package.last_resort AND ${isAvailable(lifetimeMs)} LIMIT 1
    ) last ON true
    WHERE coalesce(picked.content, last.content) IS NOT NULL
    ORDER BY picked.n`);
}

/** The number of rows deleted per statement, so that locks are short. */
const TRIM_BATCH = 1_000;

/** Deletes key packages that can no longer be claimed. Returns their number. */
export async function trimKeyPackages(db: Db, lifetimeMs: number): Promise<number> {
  for (let trimmed = 0; ; ) {
    const count = await db.$executeRaw`
      DELETE FROM key_packages WHERE (device_id, hash) IN (
        SELECT device_id, hash FROM key_packages
        WHERE created_at < clock_timestamp() - ${lifetimeMs}::float8 * interval '1 millisecond'
        LIMIT ${TRIM_BATCH} FOR UPDATE SKIP LOCKED
      )`;
    trimmed += count;
    if (count < TRIM_BATCH) return trimmed;
  }
}

/** Ends all devices of a user and deletes the keys of the account. Messages and commits still name the devices. */
export async function deleteAllOf(tx: Tx, userId: string): Promise<void> {
  await tx.device.updateMany({ where: { userId, endedAt: null }, data: { endedAt: new Date() } });
  await tx.device.updateMany({ where: { userId }, data: { name: null, sessionId: null } });
  await tx.keyPackage.deleteMany({ where: { device: { userId } } });
  await tx.accountKeys.deleteMany({ where: { userId } });
  await tx.sealedKey.deleteMany({ where: { userId } });
}
