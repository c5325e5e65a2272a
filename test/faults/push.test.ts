import { beforeAll, describe, expect, it } from 'vitest';
import { type Json, type Person, register } from '../support/client.js';
import { type Device, registerDevice } from '../support/devices.js';
import { type Fleet, figure, form, makeFleet, type NodeProcess, ownServers, within } from '../support/fleet.js';
import { type PushService, startPushService } from '../support/push-service.js';
import { serversLacking } from '../support/servers.js';
import { query } from '../support/services.js';
import { attempt, createGroup, REMOVE, SEND } from '../support/talk.js';

const TRACE = `query ($messageId: ID!) {
  notificationTrace(messageId: $messageId) { outcome reason pushes { pushSubscription { id } outcome reason } }
}`;
const FUTURE = '2999-01-01T00:00:00Z';

describe.skipIf(serversLacking !== undefined)('nodes that crash while they send pushes', () => {
  let fleet: Fleet;
  let service: PushService;
  let nodes: [NodeProcess, NodeProcess];
  beforeAll(async () => {
    service = await startPushService();
    // Short claims, so that another node takes over soon.
    fleet = await makeFleet(await ownServers(), {
      PUSH_HOSTS: service.origin,
      PUSH_TIMEOUT: '1s',
      PUSH_ATTENTION_DELAY: '1s',
    });
    nodes = [await fleet.add(), await fleet.add()];
  });

  const ask = <Row extends object>(statement: string) => query<Row>(fleet.env['DATABASE_URL'] ?? '', statement);
  const untilSent = () =>
    within(40_000, 'the notifier has processed everything, and no push waits', async () => {
      const [row] = await ask<{ waiting: number; unread: boolean }>(`
        SELECT (SELECT count(*)::int FROM push_jobs) AS waiting,
               EXISTS (SELECT FROM changes, notifier_state WHERE xid >= pg_snapshot_xmin(seen::pg_snapshot)
                         AND NOT pg_visible_in_snapshot(xid, seen::pg_snapshot) AND type = 'MESSAGE_SENT') AS unread`);
      return row?.waiting === 0 && !row.unread;
    });

  it('send a push or record a reason for each message and device', { timeout: form(300_000, 900_000) }, async () => {
    const [a, b] = nodes;
    const [alice, bob, carol] = [
      await register(a.url, 'alice'),
      await register(b.url, 'bob'),
      await register(b.url, 'carol'),
    ];
    const devices = new Map<Person, Device[]>([
      [bob, [await registerDevice(bob, service), await registerDevice(bob, service)]],
      [carol, [await registerDevice(carol, service)]],
    ]);
    const groups: string[] = [];
    for (let each = 0; each < form(12, 60); each += 1) groups.push(await createGroup(alice, [bob, carol]));
    // What users do in some of the groups while pushes are sent. The others remain as they are.
    const [readIn, mutedIn, removedIn] = [0, 1, 2].map((kind) => new Set(groups.filter((_, n) => n % 4 === kind))) as [
      Set<string>,
      Set<string>,
      Set<string>,
    ];
    // A device that is looked at delays pushes, so that there is time for a reason.
    await attempt(carol, 'setAttention', { active: true }, 'viewer { id }');
    service.answer(() => new Promise((resolve) => setTimeout(resolve, 20, { status: 201 })));
    const sent: { id: string; seq: number; conversationId: string }[] = [];
    const rounds = form(2, 12);
    for (let round = 0; round < rounds; round += 1) {
      const index = round === 0 ? 0 : Math.floor(2 * Math.random());
      const [node, other] = [nodes[index], nodes[1 - index]] as [NodeProcess, NodeProcess];
      const before = sent.length;
      const work = groups.map(async (conversationId) => {
        const at = (person: Person) => person.at(other.url);
        const { sendMessage } = await at(alice).ask(SEND, { input: { conversationId, text: `round ${round}` } });
        const message = { ...sendMessage.message, conversationId };
        sent.push(message);
        if (readIn.has(conversationId)) await attempt(at(carol), 'markRead', { conversationId, seq: message.seq });
        if (mutedIn.has(conversationId))
          await attempt(at(carol), 'muteConversation', { conversationId, until: FUTURE });
        if (removedIn.has(conversationId)) await at(alice).ask(REMOVE, { input: { messageId: message.id } });
      });
      await within(20_000, 'some messages were sent', () => sent.length > before + groups.length / 4);
      await new Promise((resolve) => setTimeout(resolve, 500 * Math.random()));
      await node.kill();
      await Promise.all(work);
      await node.start();
      figure('a node is killed while it sends pushes', { afterMs: await untilSent() });
    }
    expect(sent).toHaveLength(rounds * groups.length);
    // The outcome of each message on each device: a push, or a recorded reason that applies.
    const outcomes: Record<string, number> = {};
    for (const { id, seq, conversationId } of sent) {
      for (const [person, own] of devices) {
        const trace = (await person.ask(TRACE, { messageId: id })).notificationTrace;
        const allowed = [
          'SENT',
          ...(person === carol && readIn.has(conversationId) ? ['READ'] : []),
          ...(person === carol && mutedIn.has(conversationId) ? ['MUTED'] : []),
          ...(removedIn.has(conversationId) ? ['DELETED'] : []),
        ];
        for (const device of own) {
          const pushes = (trace.pushes as Json[]).filter(({ pushSubscription }) => pushSubscription.id === device.id);
          // Without a push, the reason why none was added holds for all devices.
          const ended = pushes.length > 0 ? pushes : trace.outcome === 'NOT_SENT' ? [trace] : [{ outcome: 'MISSING' }];
          const results = ended.map(({ outcome, reason }) => (outcome === 'NOT_SENT' ? reason : outcome));
          for (const result of results) expect(allowed).toContain(result);
          const isSent = results.includes('SENT');
          const key = isSent ? 'SENT' : results[0];
          outcomes[key] = (outcomes[key] ?? 0) + 1;
          // A push is about its newest message and earlier ones.
          const received = device.received().filter((push) => push.conversationId === conversationId);
          const newest = received.map(({ notification }) => Number(notification.navigate.split('/').at(-1)));
          if (isSent) expect(Math.max(...newest)).toBeGreaterThanOrEqual(seq);
        }
      }
    }
    figure('outcomes of messages on devices', outcomes);
    const deviceCount = [...devices.values()].flat().length;
    expect(Object.values(outcomes).reduce((sum, count) => sum + count, 0)).toBe(sent.length * deviceCount);
    expect(outcomes['SENT']).toBeGreaterThan((sent.length * deviceCount) / 2);
    // A device shows one notification for each tag.
    for (const device of [...devices.values()].flat()) {
      const tags = new Map<string, Set<string>>();
      for (const { conversationId, notification } of device.received()) {
        tags.set(conversationId, (tags.get(conversationId) ?? new Set()).add(notification.tag));
      }
      for (const { size } of tags.values()) expect(size).toBe(1);
    }
  });
});
