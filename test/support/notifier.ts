import { notifier } from '../../src/domain/notifier/notifier.js';
import type { RunningNode } from '../../src/server/start.js';
import { eventually } from './client.js';

/** Resolves when the notifier of these nodes has processed everything that is committed now. */
export async function untilNotified(...nodes: RunningNode[]): Promise<void> {
  const [{ deps }] = nodes as [RunningNode];
  const { db } = deps.database;
  const [now] = await db.$queryRaw<[{ at: string }]>`SELECT pg_current_snapshot()::text AS at`;
  await eventually('the notifier has processed everything', async () => {
    for (const node of nodes) await notifier.of(node.deps).sweep();
    const [row] = await db.$queryRaw<[{ done: boolean | null }]>`
      SELECT pg_snapshot_xmax(seen) >= pg_snapshot_xmax(now) AND NOT EXISTS (
               SELECT FROM pg_snapshot_xip(seen) AS open (xid)
               WHERE open.xid < pg_snapshot_xmax(now) AND pg_visible_in_snapshot(open.xid, now)
             ) AS done
      FROM (SELECT seen::pg_snapshot, ${now.at}::text::pg_snapshot AS now FROM notifier_state) AS state`;
    return row.done === true;
  });
}
