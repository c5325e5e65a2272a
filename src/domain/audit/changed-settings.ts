import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { Config } from '../../infra/config/config.js';
import type { Database } from '../../infra/database/database.js';
import { type Details, recordAuditEvents } from './audit.store.js';

/** A stored setting; secrets are stored as a salted hash in hexadecimal digits. */
type StoredSetting = string | { salt: string; hash: string };

/**
 * Records the settings that differ from the previous start of any node. A change is recorded once, regardless of how
 * many nodes start with it. Settings that are not set have their default. Settings that this version does not know are
 * kept as another version stored them.
 */
export async function recordSettings({ config, database }: { config: Config; database: Database }): Promise<void> {
  await database.transaction(async (tx) => {
    await tx.seenSettings.createMany({ data: { id: 1 }, skipDuplicates: true });
    const [row] = await tx.$queryRaw<[{ settings: Record<string, StoredSetting> }]>`
      SELECT settings FROM seen_settings WHERE id = 1 FOR UPDATE`;
    const stored = { ...row.settings };
    const details: Details = {};
    const isSecretSetting = (name: string) => config.declared[name]?.isSecret(name) ?? true;
    for (const [name, { perNode }] of Object.entries(config.declared)) {
      // These differ between nodes, and would be recorded at each start.
      if (perNode) continue;
      const [before, now] = [stored[name], config.given[name]];
      if (await isSame(before, now)) continue;
      if (isSecretSetting(name)) details[name] = before === undefined ? 'set' : now === undefined ? 'unset' : 'changed';
      else details[name] = { from: typeof before === 'string' ? before : null, to: now ?? null };
      if (now === undefined) delete stored[name];
      else stored[name] = isSecretSetting(name) ? await hashSecret(now) : now;
    }
    if (Object.keys(details).length === 0) return;
    await tx.seenSettings.update({ where: { id: 1 }, data: { settings: stored } });
    await recordAuditEvents(tx, { action: 'SETTINGS_CHANGED', details });
  });
}

async function isSame(stored: StoredSetting | undefined, now: string | undefined): Promise<boolean> {
  if (stored === undefined || typeof stored === 'string' || now === undefined) return stored === now;
  return timingSafeEqual(await hash(now, Buffer.from(stored.salt, 'hex')), Buffer.from(stored.hash, 'hex'));
}

async function hashSecret(text: string): Promise<StoredSetting> {
  const salt = randomBytes(16);
  return { salt: salt.toString('hex'), hash: (await hash(text, salt)).toString('hex') };
}

/** Slow, and truncated to four bytes: enough to detect a change, but too little to confirm a guessed password. */
const hash = (text: string, salt: Buffer) => promisify(scrypt)(text, salt, 4) as Promise<Buffer>;
