import { beforeAll, describe, expect, it } from 'vitest';
import { register } from '../support/client.js';
import { registerDevice } from '../support/devices.js';
import { type Fleet, figure, form, makeFleet, type NodeProcess, ownServers, within } from '../support/fleet.js';
import { type PushService, startPushService } from '../support/push-service.js';
import { serversLacking } from '../support/servers.js';
import { query } from '../support/services.js';
import { createGroup, send } from '../support/talk.js';

describe.skipIf(serversLacking !== undefined)('nodes that crash while they send pushes', () => {
  let fleet: Fleet;
  let service: PushService;
  let nodes: [NodeProcess, NodeProcess];
  beforeAll(async () => {
    service = await startPushService();
    // Short claims, so that another node takes over soon.
    fleet = await makeFleet(await ownServers(), { PUSH_HOSTS: service.origin, PUSH_TIMEOUT: '1s' });
    nodes = [await fleet.add(), await fleet.add()];
  });

  it('lose none, and repeat some with the same topic only', { timeout: 180_000 }, async () => {
    const [a, b] = nodes;
    const [alice, bob] = [await register(a.url, 'alice'), await register(b.url, 'bob')];
    const device = await registerDevice(bob, service);
    const count = form(30, 200);
    const groups: string[] = [];
    for (let each = 0; each < count; each += 1) groups.push(await createGroup(alice, [bob]));
    service.answer(() => new Promise((resolve) => setTimeout(resolve, 20, { status: 201 })));
    for (const [index, node] of nodes.entries()) {
      const other = nodes[1 - index] as NodeProcess;
      const before = device.received().length;
      await Promise.all(groups.map((group) => send(alice.at(other.url), group, `message ${index}`)));
      await within(20_000, 'some pushes have arrived', () => device.received().length > before + count / 4);
      await node.kill();
      const bodies = () =>
        new Set(device.received().map(({ conversationId, notification }) => `${conversationId} ${notification.body}`));
      const took = await within(30_000, 'there is a push for each conversation', () =>
        groups.every((group) => bodies().has(`${group} ${alice.username}: message ${index}`)),
      );
      figure('a node is killed while it sends pushes', {
        afterMs: took,
        repeated: device.received().length - before - count,
      });
      await node.start();
    }
    await within(20_000, 'no push waits', async () => {
      const [row] = await query<{ count: number }>(
        fleet.env['DATABASE_URL'] ?? '',
        'SELECT count(*)::int AS count FROM push_jobs',
      );
      return row?.count === 0;
    });
    // A device shows one notification for each tag.
    const tags = new Map<string, Set<string>>();
    for (const { conversationId, notification } of device.received()) {
      tags.set(conversationId, (tags.get(conversationId) ?? new Set()).add(notification.tag));
    }
    expect(tags.size).toBe(count);
    expect([...tags.values()].every(({ size }) => size === 1)).toBe(true);
  });
});
