import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import type { NotifierBatch } from '../notifier/notifier.sources.js';
import { SENT } from '../push/push.service.js';
import { beginDigests } from './digest.store.js';

/** Begins the wait for mails about new messages, in the transaction of the notifier. */
export async function awaitDigests(
  { config }: Pick<Deps, 'config'>,
  tx: Tx,
  { changes }: Pick<NotifierBatch, 'changes'>,
): Promise<void> {
  const { smtpUrl, publicUrl, digestDelays } = config;
  const ids = changes.flatMap(({ type, messageId }) => (type === SENT && messageId ? messageId : []));
  if (smtpUrl === undefined || publicUrl === undefined || ids.length === 0) return;
  await beginDigests(tx, ids, config, digestDelays[0] ?? 0);
}
