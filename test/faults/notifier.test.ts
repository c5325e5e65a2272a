import { beforeAll, describe, expect, it } from 'vitest';
import { register } from '../support/client.js';
import {
  type Fleet,
  figure,
  form,
  makeFleet,
  makeSender,
  type NodeProcess,
  ownServers,
  within,
} from '../support/fleet.js';
import { serversLacking } from '../support/servers.js';
import { query } from '../support/services.js';
import { openDirect } from '../support/talk.js';

describe.skipIf(serversLacking !== undefined)('nodes that crash while they write notifications', () => {
  let fleet: Fleet;
  let nodes: [NodeProcess, NodeProcess];
  beforeAll(async () => {
    fleet = await makeFleet(await ownServers(), { NOTIFICATIONS_MAX: '10000' });
    nodes = [await fleet.add(), await fleet.add()];
  });

  const ask = <Row extends object>(statement: string) => query<Row>(fleet.env['DATABASE_URL'] ?? '', statement);
  const untilClaimed = () =>
    within(20_000, 'a node is the notifier', async () => {
      const [row] = await ask<{ live: boolean }>(
        'SELECT claimed_until > clock_timestamp() AS live FROM notifier_state',
      );
      return row?.live;
    });

  it('write each notification once, and lose none', { timeout: 180_000 }, async () => {
    const [a, b] = nodes;
    const [alice, bob] = [await register(a.url, 'alice'), await register(b.url, 'bob')];
    const sender = makeSender(alice, await openDirect(alice, bob), [a.url, b.url]);
    let sent = 0;
    // One of the two is the notifier, so that it is killed in each round.
    for (let round = 0; round < form(1, 4); round += 1) {
      for (const node of nodes) {
        await untilClaimed();
        const sends = Array.from({ length: form(60, 200) }, () => {
          sent += 1;
          return sender.send(`@${bob.username} ${sent}`);
        });
        await within(20_000, 'a third is answered', () => sender.answered.length > sent - (sends.length * 2) / 3);
        await node.kill();
        await Promise.all(sends);
        const took = await within(30_000, 'all notifications are written', async () => {
          const [row] = await ask<{ count: number }>('SELECT count(*)::int AS count FROM notifications');
          return row?.count === sent;
        });
        figure('a node is killed while it may write notifications', { afterMs: took });
        await node.start();
      }
    }
    const [counts] = await ask<{
      messages: number;
      notified: number;
      occurrences: number;
      added: number;
      numbers: number;
    }>(`
      SELECT (SELECT count(*)::int FROM messages WHERE text LIKE '@%') AS messages,
             (SELECT count(DISTINCT seq)::int FROM notifications WHERE count = 1) AS notified,
             (SELECT count(*)::int FROM notification_occurrences) AS occurrences,
             (SELECT count(*)::int FROM changes WHERE type = 'NOTIFICATION_ADDED') AS added,
             (SELECT count(DISTINCT subject_id)::int FROM changes WHERE type LIKE 'NOTIFICATION_%') AS numbers`);
    expect(counts).toEqual({ messages: sent, notified: sent, occurrences: sent, added: sent, numbers: sent });
  });
});
