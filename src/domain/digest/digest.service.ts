import type { SqlTransaction } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import type { NotifierBatch } from '../notifier/notifier.sources.js';
import { newMessagesOf } from '../push/recipients.js';
import { beginDigests } from './digest.store.js';

/** Begins the wait for emails about new messages, in the transaction of the notifier. */
export async function awaitDigests(
  { config }: Pick<Deps, 'config'>,
  sql: SqlTransaction,
  { changes }: Pick<NotifierBatch, 'changes'>,
): Promise<void> {
  const { smtpUrl, publicUrl, digestDelays } = config;
  const messages = newMessagesOf(changes);
  if (smtpUrl === undefined || publicUrl === undefined || messages.ids.length === 0) return;
  await beginDigests(sql, messages, config, digestDelays[0] ?? 0);
}
