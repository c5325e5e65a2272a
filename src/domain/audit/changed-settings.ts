import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { Config } from '../../infra/config/config.js';
import type { Database } from '../../infra/database/database.js';
import { type Details, recordActs } from './audit.store.js';

/** A setting as it is kept: a secret as a salted hash, in hexadecimal digits. */
type Kept = string | { salt: string; hash: string };

/**
 * Puts down which settings are others than those of the last start, on whichever node: once for a change, however many
 * nodes start with it. A setting that is not set is as by default; one that this version does not know stays as another
 * version kept it.
 */
export async function recordSettings({ config, database }: { config: Config; database: Database }): Promise<void> {
  await database.transaction(async (tx) => {
    await tx.seenSettings.createMany({ data: { id: 1 }, skipDuplicates: true });
    const [row] = await tx.$queryRaw<[{ settings: Record<string, Kept> }]>`
      SELECT settings FROM seen_settings WHERE id = 1 FOR UPDATE`;
    const kept = { ...row.settings };
    const details: Details = {};
    const isSecretSetting = (name: string) => config.declared[name]?.isSecret(name) ?? true;
    for (const [name, { perNode }] of Object.entries(config.declared)) {
      // Nodes that start in turn would record a change each time.
      if (perNode) continue;
      const [before, now] = [kept[name], config.given[name]];
      if (await isSame(before, now)) continue;
      if (isSecretSetting(name)) details[name] = before === undefined ? 'set' : now === undefined ? 'unset' : 'changed';
      else details[name] = { from: typeof before === 'string' ? before : null, to: now ?? null };
      if (now === undefined) delete kept[name];
      else kept[name] = isSecretSetting(name) ? await keepSecret(now) : now;
    }
    if (Object.keys(details).length === 0) return;
    await tx.seenSettings.update({ where: { id: 1 }, data: { settings: kept } });
    await recordActs(tx, { action: 'SETTINGS_CHANGED', details });
  });
}

async function isSame(kept: Kept | undefined, now: string | undefined): Promise<boolean> {
  if (kept === undefined || typeof kept === 'string' || now === undefined) return kept === now;
  return timingSafeEqual(await hash(now, Buffer.from(kept.salt, 'hex')), Buffer.from(kept.hash, 'hex'));
}

async function keepSecret(text: string): Promise<Kept> {
  const salt = randomBytes(16);
  return { salt: salt.toString('hex'), hash: (await hash(text, salt)).toString('hex') };
}

/** Slow and four bytes only: enough to detect a change, and too little to confirm a guessed password. */
const hash = (text: string, salt: Buffer) => promisify(scrypt)(text, salt, 4) as Promise<Buffer>;
