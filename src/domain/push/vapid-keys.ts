import type { Prisma } from '../../generated/prisma/client.js';
import type { Secrets } from '../../infra/auth/secrets.js';
import type { Db } from '../../infra/database/database.js';
import { newVapidKeys, type VapidKeys } from '../../infra/push/vapid.js';
import type { Logger } from '../../infra/telemetry/log.js';
import { defineService } from '../../platform/service.js';

const NAME = 'vapid';
const PURPOSE = 'vapid key';
/** The number of encrypted copies: while the secret is being replaced, nodes with either secret must be able to read it. */
const SEALED_MAX = 2;

interface StoredKeys {
  publicKey: string;
  /** The private key, encrypted with the secrets of the nodes, the newest first. */
  sealed: string[];
}

/**
 * The keys by which push services recognize this server. The first node creates them for all nodes. The private key is
 * encrypted with a key derived from `JWT_SECRET`, because anyone who has it and the subscriptions can send pushes: a
 * copy of the database alone is not enough. If no node can decrypt it, it is replaced, and the subscriptions of
 * browsers are deleted, because they only accept pushes of the previous key. Clients notice the new public key, and
 * subscribe again.
 */
export async function loadVapidKeys(db: Db, secrets: Secrets, log: Logger): Promise<VapidKeys> {
  const fresh = newVapidKeys();
  const value = toJson({
    publicKey: fresh.publicKey,
    sealed: [secrets.seal(PURPOSE, JSON.stringify(fresh.privateKey))],
  });
  // Of several nodes that start at the same time, one stores its keys, and the others read them.
  await db.serverKey.createMany({ data: [{ name: NAME, value }], skipDuplicates: true });
  const row = await db.serverKey.findUniqueOrThrow({ where: { name: NAME } });
  const stored = row.value as unknown as StoredKeys;
  for (const sealed of stored.sealed) {
    const opened = secrets.unseal(PURPOSE, sealed);
    if (!opened) continue;
    if (opened.isPrevious) {
      const renewed = { ...stored, sealed: [secrets.seal(PURPOSE, opened.text), sealed].slice(0, SEALED_MAX) };
      await db.serverKey.updateMany({
        where: { name: NAME, value: { equals: toJson(stored) } },
        data: { value: toJson(renewed) },
      });
    }
    return { publicKey: stored.publicKey, privateKey: JSON.parse(opened.text) };
  }
  log.error('key of Web Push cannot be decrypted: JWT_SECRET was replaced; devices must register again');
  await db.$transaction([
    db.serverKey.deleteMany({ where: { name: NAME, value: { equals: toJson(stored) } } }),
    db.pushSubscription.deleteMany({ where: { kind: 'WEB' } }),
  ]);
  return loadVapidKeys(db, secrets, log);
}

const toJson = (keys: StoredKeys) => ({ ...keys }) satisfies object as Prisma.InputJsonObject;

/** The keys, which are loaded when they are first needed; undefined if Web Push is switched off. */
export const vapidKeys = defineService('vapid keys', ({ config, database, secrets, log }) => {
  let loading: Promise<VapidKeys> | undefined;
  return async (): Promise<VapidKeys | undefined> => {
    if (!config.webPush) return undefined;
    loading ??= loadVapidKeys(database.db, secrets, log);
    try {
      return await loading;
    } catch (error) {
      loading = undefined;
      throw error;
    }
  };
});
