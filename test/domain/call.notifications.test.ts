import { beforeAll, describe, expect, it } from 'vitest';
import type { DropReason } from '../../src/domain/push/push.policy.js';
import { pushWorker } from '../../src/domain/push/push.worker.js';
import type { RunningNode } from '../../src/server/start.js';
import { accept, decline, followCalls, leave, start, untilEnded } from '../support/calls.js';
import { eventually, type Json, type Person, registerAll } from '../support/client.js';
import { type Device, registerDevice, untilNoneWaits } from '../support/devices.js';
import { rowId } from '../support/durable-streams.js';
import { atFileEnd } from '../support/ending.js';
import { untilNotified } from '../support/notifier.js';
import { inOneMode, makePlace, modes, startTwo } from '../support/place.js';
import { type PushService, startPushService } from '../support/push-service.js';
import { attempt, createGroup, openDirect } from '../support/talk.js';

describe.each(modes)('notifications of calls in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let service: PushService;
  let node: RunningNode;
  let other: RunningNode;
  beforeAll(async () => {
    service = await startPushService(atFileEnd);
    [node, other] = await startTwo(await makePlace(mode), {
      PUSH_HOSTS: service.origin,
      PUSH_GATEWAY_URL: service.origin,
      PUSH_ATTENTION_DELAY: '1h',
      NOTIFICATION_EVERYONE_MAX_MEMBERS: '3',
    });
  });

  const inboxOf = async (person: Person): Promise<Json[]> => {
    await untilNotified(node, other);
    const selection = 'kind count readAt actors { id } conversation { id } message { id }';
    return (await person.ask(`{ viewer { notifications(first: 50) { nodes { ${selection} } } } }`)).viewer.notifications
      .nodes;
  };
  const missedOf = async (person: Person) => (await inboxOf(person)).filter(({ kind }) => kind === 'MISSED_CALL');
  const dropped = (reason: DropReason) =>
    [...new Set([node, other])].reduce(
      (sum, { deps }) => sum + (pushWorker.of(deps).counts.dropped.get(reason) ?? 0),
      0,
    );
  const bodiesOf = (device: Device) =>
    device.received().map(({ notification }) => [notification.title, notification.body]);
  const untilQuiet = async () => {
    await untilNotified(node, other);
    await untilNoneWaits(node);
  };

  it('are in the inbox of those who missed them, one for each conversation', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    for (let count = 0; count < 2; count += 1) {
      const { call, partyId } = await start(ana, direct);
      await leave(ana, call.id, partyId);
    }
    expect(await missedOf(bob)).toEqual([
      {
        kind: 'MISSED_CALL',
        count: 2,
        readAt: null,
        actors: [{ id: ana.id }],
        conversation: { id: direct },
        message: null,
      },
    ]);
    // Neither a call that is answered nor one that is declined.
    const answered = await start(ana, direct);
    await accept(bob, answered.call.id);
    await leave(ana, answered.call.id, answered.partyId);
    await decline(bob, (await start(ana, direct)).call.id);
    expect(await missedOf(bob)).toMatchObject([{ count: 2 }]);
    expect(await missedOf(ana)).toEqual([]);
    await attempt(bob, 'muteConversation', { conversationId: direct, until: '2999-01-01T00:00:00Z' });
    const muted = await start(ana, direct);
    await leave(ana, muted.call.id, muted.partyId);
    expect(await missedOf(bob)).toMatchObject([{ count: 2 }]);
  });

  itOnce('are in the inbox of members of small groups who did not join', async () => {
    const [ana, bob, carol, dora] = await registerAll(node.url, 'ana', 'bob', 'carol', 'dora');
    const group = await createGroup(ana, [bob, carol]);
    const { call, partyId } = await start(ana, group);
    const joined = await accept(bob, call.id);
    await leave(ana, call.id, partyId);
    await leave(bob, call.id, joined.partyId);
    const [missed] = await missedOf(carol);
    expect(missed).toMatchObject({ count: 1, actors: [{ id: ana.id }], conversation: { id: group } });
    for (const person of [ana, bob]) expect(await missedOf(person)).toEqual([]);
    // Not of those who declined.
    const declined = await start(ana, group);
    await decline(carol, declined.call.id);
    await leave(ana, declined.call.id, declined.partyId);
    expect(await missedOf(bob)).toMatchObject([{ count: 1, conversation: { id: group } }]);
    expect(await missedOf(carol)).toMatchObject([{ count: 1 }]);
    const large = await createGroup(ana, [bob, carol, dora]);
    const second = await start(ana, large);
    await leave(ana, second.call.id, second.partyId);
    expect(await missedOf(dora)).toEqual([]);
  });

  it('are pushed at once with high urgency while they ring, and replaced when they were missed', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    const [device, own] = [await registerDevice(bob, service), await registerDevice(ana, service)];
    // Also if the user is looking at a device.
    await attempt(bob, 'setAttention', { active: true }, 'viewer { id }');
    const { call, partyId } = await start(ana, direct, 'VIDEO');
    const [push] = await device.until(1);
    expect(push).toMatchObject({
      notification: { title: ana.username, body: 'Incoming video call', navigate: `/c/${direct}` },
      conversationId: direct,
      callId: call.id,
    });
    expect(push).not.toHaveProperty('messageId');
    const headers = service.to(device.path)[0]?.headers ?? {};
    expect(headers['urgency']).toBe('high');
    expect(Number(headers['ttl'])).toBeGreaterThan(30);
    expect(Number(headers['ttl'])).toBeLessThanOrEqual(45);
    await leave(ana, call.id, partyId);
    const [, missed] = await device.until(2);
    expect(missed.notification).toMatchObject({ body: 'Missed call', tag: push.notification.tag });
    expect(own.received()).toEqual([]);
    // Not again, whatever else changes.
    await untilQuiet();
    expect(bodiesOf(device)).toHaveLength(2);
  });

  itOnce('are pushed to apps through the gateway', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    service.answer(() => ({ status: 200, body: '{"rejected":[]}' }));
    await attempt(bob, 'registerPush', { gateway: { appId: 'app', pushKey: `key of ${bob.username}` } });
    const { call } = await start(ana, direct);
    const sent = () =>
      service.to('/_matrix/push/v1/notify').map(({ body }) => JSON.parse(String(body)).notification as Json);
    await eventually('it is pushed', () => sent().some(({ event_id }) => event_id === call.id));
    expect(sent().find(({ event_id }) => event_id === call.id)).toMatchObject({ room_id: direct, prio: 'high' });
    service.answer(() => ({ status: 201 }));
  });

  itOnce('are not pushed when they are over, or the user does not want it', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    const device = await registerDevice(bob, service);
    const stream = await followCalls(bob, other.url);
    /** Lets the push of a call wait until something has happened. */
    async function whileItWaits(reason: DropReason, act: (call: Json) => Promise<unknown>): Promise<void> {
      const before = dropped(reason);
      const pause = (until: string) =>
        node.deps.database.db.$executeRaw`
          UPDATE push_subscriptions SET paused_until = ${until}::timestamptz WHERE id = ${rowId(device.id)}::uuid`;
      await pause('2999-01-01T00:00:00Z');
      const { call, partyId } = await start(ana, direct);
      await untilNotified(node, other);
      await eventually('it waits', async () => {
        const waiting = await node.deps.database.db.pushJob.findFirst({ where: { subjectId: rowId(call.id) } });
        return waiting?.waits.includes('DEVICE_PAUSED') ?? false;
      });
      await act(call);
      await untilNotified(node, other);
      await pause('-infinity');
      await node.deps.database.db.$executeRaw`UPDATE push_jobs SET due_at = clock_timestamp()`;
      pushWorker.of(node.deps).wake();
      await eventually(`it is dropped: ${reason}`, () => dropped(reason) > before);
      await leave(ana, call.id, partyId);
      await untilEnded(stream, call.id);
      await untilQuiet();
    }
    await whileItWaits('ENDED', ({ id }) => accept(bob, id));
    await whileItWaits('ENDED', ({ id }) => decline(bob, id));
    const received = device.received().length;
    await whileItWaits('MUTED', () =>
      attempt(bob, 'muteConversation', { conversationId: direct, until: '2999-01-01T00:00:00Z' }),
    );
    await attempt(bob, 'muteConversation', { conversationId: direct, until: null });
    await whileItWaits('LEVEL', () => attempt(bob, 'setNotificationLevel', { conversationId: direct, level: 'NONE' }));
    await attempt(bob, 'setNotificationLevel', { conversationId: direct, level: null });
    const quiet = (until: string | null) => attempt(bob, 'updateNotificationSettings', { doNotDisturbUntil: until });
    await whileItWaits('QUIET', () => quiet('2999-01-01T00:00:00Z'));
    expect(device.received().length).toBe(received);
  });

  itOnce('of groups are pushed to members who are to ring', async () => {
    const [ana, bob, carol] = await registerAll(node.url, 'ana', 'bob', 'carol');
    const group = await createGroup(ana, [bob, carol], { title: 'The team' });
    const [ofBob, ofCarol] = [await registerDevice(bob, service), await registerDevice(carol, service)];
    const { call } = await start(ana, group);
    for (const device of [ofBob, ofCarol]) await device.until(1);
    expect(bodiesOf(ofBob)).toEqual([['The team', `${ana.username}: Incoming call`]]);
    await accept(bob, call.id);
    await untilQuiet();
    expect(bodiesOf(ofCarol)).toHaveLength(1);
  });
});
