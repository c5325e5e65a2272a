import { awaitDigests } from '../../src/domain/digest/digest.service.js';
import { enqueuePushes, SENT } from '../../src/domain/push/push.service.js';
import type { RunningNode } from '../../src/server/start.js';
import { rowId } from './durable-streams.js';

/** Adds what follows from new messages, as the node does that reads them from the change log. */
export const notified = ({ deps }: RunningNode, ...messages: { id: string }[]): Promise<void> =>
  deps.database.transaction(async (tx) => {
    const changes = messages.map(({ id }) => ({ type: SENT, messageId: rowId(id) }));
    await enqueuePushes(deps, tx, { changes, added: [] });
    await awaitDigests(deps, tx, { changes });
  });
