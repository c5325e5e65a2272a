import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { SENT } from '../push/push.service.js';
import { beginDigests } from './digest.store.js';

/** Begins the wait for mails about new messages, in the transaction that has read them from the change log. */
export async function awaitDigests(
  { config }: Pick<Deps, 'config'>,
  tx: Tx,
  { changes }: { changes: readonly { type: string; messageId: string | null }[] },
): Promise<void> {
  const { smtpUrl, publicUrl, digestDelays } = config;
  const ids = changes.flatMap(({ type, messageId }) => (type === SENT && messageId ? messageId : []));
  if (smtpUrl === undefined || publicUrl === undefined || ids.length === 0) return;
  await beginDigests(tx, ids, config, digestDelays[0] ?? 0);
}
