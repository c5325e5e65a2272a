import { beforeAll, describe, expect, it } from 'vitest';
import { describeTrace } from '../../src/domain/notification-trace/trace.description.js';
import { traceOfUser } from '../../src/domain/notification-trace/trace.service.js';
import { notifier } from '../../src/domain/notifier/notifier.js';
import type { RunningNode } from '../../src/server/start.js';
import { eventually, type Json, type Person, registerAll, request } from '../support/client.js';
import { type Device, makeDue, registerDevice, untilAllWait, untilNoneWaits } from '../support/devices.js';
import { rowId } from '../support/durable-streams.js';
import { atFileEnd } from '../support/ending.js';
import { notified } from '../support/notified.js';
import { inOneMode, makePlace, modes } from '../support/place.js';
import { type PushService, startPushService } from '../support/push-service.js';
import { attempt, createGroup, edit, openDirect, remove, send } from '../support/talk.js';

const TRACE = `query ($messageId: ID!) {
  notificationTrace(messageId: $messageId) {
    outcome reason decidedAt level mutedUntil isMention notification { kind message { id } }
    pushes { pushSubscription { id } kind outcome reason queuedAt endedAt dueAt waits failedAttempts }
  }
}`;
const FUTURE = '2999-01-01T00:00:00Z';
const traceOf = async (person: Person, { id }: { id: string }): Promise<Json> =>
  (await person.ask(TRACE, { messageId: id })).notificationTrace;

describe.each(modes)('the reasons why a message notified or did not in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let service: PushService;
  let node: RunningNode;
  beforeAll(async () => {
    service = await startPushService(atFileEnd);
    const place = await makePlace(mode);
    node = await place.start({ PUSH_HOSTS: service.origin, PUSH_ATTENTION_DELAY: '1h' });
  });

  const attend = (person: Person, active: boolean) => attempt(person, 'setAttention', { active }, 'viewer { id }');

  it('include each device to which a push was sent, and when', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const devices = [await registerDevice(ana, service), await registerDevice(ana, service)];
    const group = await createGroup(bob, [ana]);
    const before = Date.now();
    const message = await send(bob, group, `hello @${ana.username}`);
    await notified(node, message);
    for (const device of devices) await device.until();
    await untilNoneWaits(node);
    const trace = await traceOf(ana, message);
    expect(trace).toMatchObject({
      outcome: 'SENT',
      reason: null,
      level: 'ALL',
      mutedUntil: null,
      isMention: true,
      notification: { kind: 'MENTION', message: { id: message.id } },
    });
    expect(Date.parse(trace.decidedAt)).toBeGreaterThanOrEqual(before - 1_000);
    expect(trace.pushes.map(({ pushSubscription }: Json) => pushSubscription.id).sort()).toEqual(
      devices.map(({ id }) => id).sort(),
    );
    for (const push of trace.pushes) {
      expect(push).toMatchObject({
        kind: 'WEB',
        outcome: 'SENT',
        reason: null,
        dueAt: null,
        waits: [],
        failedAttempts: 0,
      });
      expect(Date.parse(push.endedAt)).toBeGreaterThanOrEqual(Date.parse(push.queuedAt));
    }
    expect(await traceOf(bob, message)).toMatchObject({ outcome: 'NOT_SENT', reason: 'OWN_MESSAGE', pushes: [] });
  });

  type Scene = { ana: Person; bob: Person; conversationId: string };
  const choose = (input: object) => (scene: Scene) => attempt(scene.ana, 'updateNotificationSettings', input);
  const inIt = (mutation: string, input: object) => (scene: Scene) =>
    attempt(scene.ana, mutation, { conversationId: scene.conversationId, ...input });
  // What applied when the message was sent, what is changed later, and what the trace shows then.
  itOnce.each<[string, (scene: Scene) => Promise<unknown>, (scene: Scene) => Promise<unknown>, object]>([
    [
      'LEVEL',
      inIt('setNotificationLevel', { level: 'NONE' }),
      inIt('setNotificationLevel', { level: 'ALL' }),
      { level: 'NONE' },
    ],
    [
      'LEVEL',
      choose({ defaultLevel: 'MENTIONS' }),
      choose({ defaultLevel: null }),
      { level: 'MENTIONS', isMention: false },
    ],
    [
      'MUTED',
      inIt('muteConversation', { until: FUTURE }),
      inIt('muteConversation', { until: null }),
      { level: 'ALL', mutedUntil: '2999-01-01T00:00:00.000Z' },
    ],
    ['NO_DEVICE', async () => {}, choose({ defaultLevel: 'NONE' }), { level: 'ALL' }],
  ])('are those that applied when it was sent: %s', async (reason, before, after, expected) => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const conversationId = await createGroup(bob, [ana]);
    const scene = { ana, bob, conversationId };
    if (reason !== 'NO_DEVICE') await registerDevice(ana, service);
    await before(scene);
    const message = await send(bob, conversationId, 'hello');
    await notified(node, message);
    const trace = await traceOf(ana, message);
    expect(trace).toMatchObject({ outcome: 'NOT_SENT', reason, pushes: [], notification: null, ...expected });
    await after(scene);
    await registerDevice(ana, service);
    expect(await traceOf(ana, message)).toEqual(trace);
  });

  itOnce(
    'report that the user joined later, that the service wrote the message, or that nothing is recorded',
    async () => {
      const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
      const group = await createGroup(bob, []);
      const message = await send(bob, group, 'hello');
      await notified(node, message);
      await attempt(bob, 'addMembers', { conversationId: group, userIds: [ana.id] });
      expect(await traceOf(ana, message)).toMatchObject({ outcome: 'NOT_SENT', reason: 'NOT_A_MEMBER' });
      const { db } = node.deps.database;
      await db.notifierStep.deleteMany({ where: { messageIds: { has: rowId(message.id) } } });
      expect(await traceOf(ana, message)).toMatchObject({
        outcome: 'NOT_SENT',
        reason: 'NOT_RECORDED',
        decidedAt: null,
      });
      await db.message.update({ where: { id: rowId(message.id) }, data: { kind: 'SYSTEM' } });
      expect(await traceOf(ana, message)).toMatchObject({ outcome: 'NOT_SENT', reason: 'SYSTEM_MESSAGE' });
    },
  );

  // test/domain/push.test.ts compares what is recorded for each of the other reasons.
  itOnce.each<[string, (scene: Scene & { device: Device }) => Promise<unknown>]>([
    // The direction of the block is not disclosed.
    ['SENDER_UNREACHABLE', ({ ana, bob }) => attempt(bob, 'blockUser', { userId: ana.id })],
    ['DEVICE_REMOVED', ({ ana, device }) => attempt(ana, 'removePush', { pushSubscriptionId: device.id })],
  ])('say why a push that waited was dropped: %s', async (reason, act) => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const device = await registerDevice(ana, service);
    const conversationId = await createGroup(bob, [ana]);
    await attend(ana, true);
    const message = await send(bob, conversationId, 'hello');
    await notified(node, message);
    await untilAllWait(node);
    const waiting = await traceOf(ana, message);
    expect(waiting).toMatchObject({ outcome: 'WAITING', reason: null });
    const push = { outcome: 'WAITING', reason: null, endedAt: null, waits: ['ATTENTION'], failedAttempts: 0 };
    expect(waiting.pushes).toMatchObject([{ ...push, pushSubscription: { id: device.id } }]);
    expect(Date.parse(waiting.pushes[0].dueAt)).toBeGreaterThan(Date.now() + 3_000_000);
    expect(typeof (await act({ ana, bob, conversationId, device }))).not.toBe('string');
    await makeDue(node);
    await untilNoneWaits(node);
    const trace = await traceOf(ana, message);
    expect(trace).toMatchObject({ outcome: 'NOT_SENT', reason });
    expect(trace.pushes).toMatchObject([
      {
        outcome: 'NOT_SENT',
        reason,
        endedAt: expect.any(String),
        dueAt: null,
        waits: ['ATTENTION'],
        pushSubscription: reason === 'DEVICE_REMOVED' ? null : { id: device.id },
      },
    ]);
  });

  itOnce('are kept for each message of one push', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const device = await registerDevice(ana, service);
    const conversationId = await openDirect(bob, ana);
    await attend(ana, true);
    const read = await send(bob, conversationId, 'read');
    const deleted = await send(bob, conversationId, 'deleted');
    const left = await send(bob, conversationId, 'left');
    await notified(node, read, deleted, left);
    await untilAllWait(node);
    await attempt(ana, 'markRead', { conversationId, seq: read.seq });
    await remove(bob, deleted.id);
    await attend(ana, false);
    await makeDue(node);
    await device.until();
    await untilNoneWaits(node);
    const outcomes = await Promise.all([read, deleted, left].map((message) => traceOf(ana, message)));
    expect(outcomes.map(({ outcome, reason }) => [outcome, reason])).toEqual([
      ['NOT_SENT', 'READ'],
      ['NOT_SENT', 'DELETED'],
      ['SENT', null],
    ]);
  });

  itOnce('contain the response of the push service', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const device = await registerDevice(ana, service);
    const conversationId = await openDirect(bob, ana);
    const answers = [{ status: 503, headers: { 'retry-after': '600' } }, { status: 403 }, { status: 410 }];
    service.answer(({ path }) => (path === device.path && answers.shift()) || { status: 201 });
    const first = await send(bob, conversationId, 'one');
    await notified(node, first);
    await eventually('the push failed', async () => (await traceOf(ana, first)).pushes[0]?.failedAttempts === 1);
    expect(await traceOf(ana, first)).toMatchObject({ outcome: 'WAITING', pushes: [{ waits: ['FAILED_ATTEMPT'] }] });
    await makeDue(node);
    await untilNoneWaits(node);
    expect(await traceOf(ana, first)).toMatchObject({
      outcome: 'NOT_SENT',
      reason: 'REJECTED',
      pushes: [{ waits: ['FAILED_ATTEMPT'], failedAttempts: 1 }],
    });
    const second = await send(bob, conversationId, 'two');
    await notified(node, second);
    await untilNoneWaits(node);
    expect(await traceOf(ana, second)).toMatchObject({
      outcome: 'NOT_SENT',
      reason: 'DEVICE_GONE',
      pushes: [{ reason: 'DEVICE_GONE', pushSubscription: null }],
    });
  });

  itOnce('include a mention that an edit added', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const device = await registerDevice(ana, service);
    await attempt(ana, 'updateNotificationSettings', { defaultLevel: 'MENTIONS' });
    const message = await send(bob, await createGroup(bob, [ana]), 'hello');
    await notified(node, message);
    expect(await traceOf(ana, message)).toMatchObject({ reason: 'LEVEL', isMention: false });
    await edit(bob, message.id, `hello @${ana.username}`);
    await device.until();
    await untilNoneWaits(node);
    expect(await traceOf(ana, message)).toMatchObject({ outcome: 'SENT', isMention: true });
  });

  itOnce('report that nothing is decided while the notifier has not read the message', async () => {
    const place = await makePlace(mode);
    const own = await place.start();
    const [ana, bob] = await registerAll(own.url, 'ana', 'bob');
    await notifier.of(own.deps).close();
    const message = await send(bob, await openDirect(bob, ana), 'hello');
    expect(await traceOf(ana, message)).toMatchObject({
      outcome: 'WAITING',
      reason: null,
      decidedAt: null,
      pushes: [],
    });
  });

  itOnce('are for the recipient alone', async () => {
    const [ana, bob, eve] = await registerAll(node.url, 'ana', 'bob', 'eve');
    await registerDevice(ana, service);
    const message = await send(bob, await openDirect(bob, ana), 'hello');
    await notified(node, message);
    await untilNoneWaits(node);
    expect(await traceOf(eve, message)).toBeNull();
    expect(await traceOf(bob, message)).toMatchObject({ pushes: [] });
    expect(await traceOf(ana, message)).toMatchObject({ pushes: [{}] });
    const { errors } = await request(node.url, TRACE, { messageId: message.id });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'UNAUTHENTICATED' });
    for (const messageId of ['x', bob.id]) {
      const wrong = await ana.request(TRACE, { messageId });
      expect(wrong.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'messageId' });
    }
    // A user who can no longer see the message gets null, while the command of the operator shows the reason.
    const group = await createGroup(bob, [ana]);
    const late = await send(bob, group, 'hello');
    await notified(node, late);
    await untilNoneWaits(node);
    await attempt(ana, 'leaveConversation', { conversationId: group });
    expect(await traceOf(ana, late)).toBeNull();
    const ofOperator = await traceOfUser(node.deps, rowId(ana.id), rowId(late.id));
    expect(ofOperator && describeTrace(ofOperator)).toContain('No push was sent. NOT_A_MEMBER: ');
    const sent = await traceOfUser(node.deps, rowId(ana.id), rowId(message.id));
    expect(sent && describeTrace(sent)).toMatch(
      /^A push was sent\.\nDecided: \S+Z\nLevel: ALL\nMuted until: not muted\n- WEB PushSubscription_\S+: SENT; queued \S+Z; ended \S+Z$/,
    );
  });

  itOnce('end with the account, however it is deleted, and with the retention', async () => {
    const [ana, bob, carol] = await registerAll(node.url, 'ana', 'bob', 'carol');
    for (const person of [ana, carol]) {
      await registerDevice(person, service);
      await attempt(person, 'updateNotificationSettings', { defaultLevel: 'MENTIONS' });
      await attempt(person, 'updateNotificationSettings', { defaultLevel: 'ALL' });
      const message = await send(bob, await openDirect(bob, person), 'hello');
      await notified(node, message);
      await untilNoneWaits(node);
    }
    // One waits for each of them when their accounts are deleted.
    for (const person of [ana, carol]) {
      await attend(person, true);
      await notified(node, await send(bob, await openDirect(bob, person), 'another'));
    }
    await untilAllWait(node);
    const { db } = node.deps.database;
    const where = { userId: { in: [ana, carol].map(({ id }) => rowId(id)) } };
    const counts = async () => [await db.pushRecord.count({ where }), await db.pastNotificationLevel.count({ where })];
    expect(await counts()).toEqual([2, 4]);
    await attempt(ana, 'deleteAccount', { password: ana.password });
    // As a node of version 0.1.0 deletes an account.
    await db.session.updateMany({ where: { userId: rowId(carol.id) }, data: { endedAt: new Date() } });
    await db.user.update({ where: { id: rowId(carol.id) }, data: { deletedAt: new Date() } });
    expect(await counts()).toEqual([0, 0]);
    expect(await db.pushJob.count()).toBe(0);

    const [dave] = await registerAll(node.url, 'dave');
    await registerDevice(dave, service);
    await attempt(dave, 'updateNotificationSettings', { defaultLevel: 'ALL' });
    const message = await send(bob, await openDirect(bob, dave), 'hello');
    await notified(node, message);
    await untilNoneWaits(node);
    const retention = node.deps.features.flatMap((feature) => feature.retention ?? []);
    const trim = async () => {
      const tables = ['push_records', 'past_notification_levels', 'notifier_steps'];
      return Promise.all(tables.map((name) => retention.find(({ table }) => table === name)?.trim(node.deps)));
    };
    expect(await trim()).toEqual([0, 0, 0]);
    await db.$executeRaw`UPDATE push_records SET ended_at = ended_at - interval '8 days'`;
    await db.$executeRaw`UPDATE past_notification_levels SET until = until - interval '8 days'`;
    await db.$executeRaw`UPDATE notifier_steps SET at = at - interval '8 days'`;
    for (const count of await trim()) expect(count).toBeGreaterThan(0);
    expect(await traceOf(dave, message)).toMatchObject({ outcome: 'NOT_SENT', reason: 'NOT_RECORDED' });
  });
});
