import { describe, expect, it } from 'vitest';
import { encodeGlobalId } from '../../src/core/ids.js';
import { type NotificationTrace, traceOfUser } from '../../src/domain/notification-trace/trace.service.js';
import { type Json, type Person, registerAll } from '../support/client.js';
import { type Device, makeDue, registerDevice, untilAllWait, untilNoneWaits } from '../support/devices.js';
import { rowId } from '../support/durable-streams.js';
import { CASES_TIMEOUT_MS, exhaustiveModes, isExhaustive } from '../support/exhaustive.js';
import { notified } from '../support/notified.js';
import { makePlace } from '../support/place.js';
import { startPushService } from '../support/push-service.js';
import { attempt, insertGroups, reply, send } from '../support/talk.js';

// The table of docs/NOTIFICATIONS.md: what a user and a conversation can have, and what a message can be.
const defaultLevels = ['ALL', 'MENTIONS', 'NONE'] as const;
const levels = [null, ...defaultLevels] as const;
const mutes = ['not muted', 'muted', 'no longer muted'] as const;
const quiets = [
  'never quiet',
  'do not disturb',
  'do not disturb has ended',
  'within quiet hours',
  'outside of quiet hours',
  'within quiet hours of another time zone',
  'outside of quiet hours of another time zone',
] as const;
const deviceStates = [
  'one device',
  'two devices',
  'a device that is looked at',
  'no device',
  'signed out',
  'session expired',
] as const;

interface UserCase {
  defaultLevel: (typeof defaultLevels)[number];
  quiet: (typeof quiets)[number];
  device: (typeof deviceStates)[number];
}
interface ConversationCase {
  level: (typeof levels)[number];
  mute: (typeof mutes)[number];
}
interface MessageCase extends UserCase, ConversationCase {
  /** Messages that concern all members, and those that concern one of them. */
  kind: 'message' | 'everyone' | 'mention' | 'reply';
}

/** The outcome according to docs/NOTIFICATIONS.md: the number of pushes, or the first reason in the table that applies. */
function expectedOf({ defaultLevel, quiet, device, level, mute, kind }: MessageCase): number | string {
  if (mute === 'muted') return 'MUTED';
  const chosen = level ?? defaultLevel;
  if (chosen === 'NONE') return 'LEVEL';
  if (chosen === 'MENTIONS' && kind === 'message') return 'LEVEL';
  if (device === 'no device' || device === 'signed out') return 'NO_DEVICE';
  if (device === 'session expired') return 'SIGNED_OUT';
  if (
    quiet === 'do not disturb' ||
    quiet === 'within quiet hours' ||
    quiet === 'within quiet hours of another time zone'
  ) {
    return 'QUIET';
  }
  return device === 'two devices' ? 2 : 1;
}

const HOUR_MS = 3_600_000;
/** A zone without summer time, whose clocks are 14 hours ahead of UTC. */
const [ZONE, ZONE_HOURS] = ['Pacific/Kiritimati', 14];

/** The settings for each way of being quiet; `past` is what only the passing of time can cause. */
function settingsOf(quiet: UserCase['quiet']): { input: Json; past?: { doNotDisturbUntil: Date } } {
  const hoursAround = (offset: number, timeZone: string) => {
    const time = (hours: number) => new Date(Date.now() + (offset + hours) * HOUR_MS).toISOString().slice(11, 16);
    return { input: { quietHours: { from: time(-3), to: time(3), timeZone } } };
  };
  switch (quiet) {
    case 'never quiet':
      return { input: {} };
    case 'do not disturb':
      return { input: { doNotDisturbUntil: new Date(Date.now() + HOUR_MS) } };
    case 'do not disturb has ended':
      return { input: {}, past: { doNotDisturbUntil: new Date(Date.now() - HOUR_MS) } };
    case 'within quiet hours':
      return hoursAround(0, 'UTC');
    case 'outside of quiet hours':
      return hoursAround(6, 'UTC');
    case 'within quiet hours of another time zone':
      return hoursAround(ZONE_HOURS, ZONE);
    case 'outside of quiet hours of another time zone':
      return hoursAround(0, ZONE);
  }
}

const product = <A, B>(some: readonly A[], others: readonly B[]): (A & B)[] =>
  some.flatMap((one) => others.map((other) => ({ ...one, ...other })));
const each = <Key extends string, Value>(key: Key, values: readonly Value[]) =>
  values.map((value) => ({ [key]: value }) as Record<Key, Value>);
function shuffled<Value>(values: readonly Value[], count: number): Value[] {
  const keyed = values.map((value) => ({ value, key: Math.random() })).sort((a, b) => a.key - b.key);
  return Array.from({ length: count }, (_, index) => keyed[index % keyed.length]?.value as Value);
}

/** All users, or some with every value in combinations that differ in each run. Two of them always receive pushes. */
function userCases(): UserCase[] {
  if (isExhaustive) {
    return product(product(each('defaultLevel', defaultLevels), each('quiet', quiets)), each('device', deviceStates));
  }
  const [some, states, hours] = [
    shuffled(defaultLevels, quiets.length),
    shuffled(deviceStates, quiets.length),
    shuffled(quiets, quiets.length),
  ];
  return [
    { defaultLevel: 'ALL', quiet: 'never quiet', device: 'one device' },
    { defaultLevel: 'ALL', quiet: 'never quiet', device: 'a device that is looked at' },
    ...hours.map((quiet, index) => ({ quiet, defaultLevel: some[index], device: states[index] }) as UserCase),
  ];
}

describe.each(exhaustiveModes)('who is notified, in %s mode', (mode) => {
  it('follows from levels, mutes, quiet times and devices, according to the table in the documentation', {
    timeout: CASES_TIMEOUT_MS,
  }, async () => {
    const service = await startPushService();
    const place = await makePlace(mode);
    const node = await place.start({ PUSH_HOSTS: service.origin, PUSH_ATTENTION_DELAY: '1h' });
    const { db } = node.deps.database;
    const [bob] = await registerAll(node.url, 'bob');
    const users: { of: UserCase; person: Person; devices: Device[] }[] = [];
    for (const of of userCases()) {
      const [person] = await registerAll(node.url, 'ana');
      const { input, past } = settingsOf(of.quiet);
      const saved = await attempt(person, 'updateNotificationSettings', { defaultLevel: of.defaultLevel, ...input });
      expect(typeof saved).toBe('object');
      if (past) await db.notificationSettings.update({ where: { userId: rowId(person.id) }, data: past });
      const count = of.device === 'no device' ? 0 : of.device === 'two devices' ? 2 : 1;
      const devices: Device[] = [];
      for (let number = 0; number < count; number += 1) devices.push(await registerDevice(person, service));
      users.push({ of, person, devices });
    }

    // Of the conversations with one user, each has some in the short form, and other users the others.
    const conversations = product(each('level', levels), each('mute', mutes));
    const some = users.flatMap((user, at) =>
      conversations
        .map((conversation, index) => ({ user, conversation, index: index + at }))
        .filter(({ index }) => isExhaustive || index % 4 === 0)
        .map(({ index, ...those }) => ({ ...those, kind: index % 8 === 0 ? 'mention' : 'reply' }) as const),
    );
    const planned = [
      ...product(each('conversation', conversations), each('kind', ['message', 'everyone'] as const)).map((plan) => ({
        ...plan,
        members: users,
      })),
      ...some.map(({ user, ...plan }) => ({ ...plan, members: [user] })),
    ];
    const talks: ((typeof planned)[number] & { id: string; ownId?: string })[] = [];
    for (const plan of planned) {
      const { conversation, members, kind } = plan;
      const [conversationId = ''] = await insertGroups(
        db,
        1,
        [bob, ...members.map(({ person }) => person)].map((person) => rowId(person.id)),
      );
      const { level, mute } = conversation;
      const mutedUntil = mute === 'not muted' ? null : new Date(Date.now() + (mute === 'muted' ? HOUR_MS : -HOUR_MS));
      await db.$executeRaw`
          INSERT INTO member_notification_settings (membership_id, level, muted_until)
          SELECT id, ${level}::text::"NotificationLevel", ${mutedUntil?.toISOString() ?? null}::text::timestamptz
          FROM memberships WHERE conversation_id = ${conversationId}::uuid AND user_id <> ${rowId(bob.id)}::uuid`;
      const id = encodeGlobalId('Conversation', conversationId);
      const [member] = members;
      talks.push({
        ...plan,
        id,
        ...(kind === 'reply' && member ? { ownId: (await send(member.person, id, 'own')).id } : {}),
      });
    }
    for (const { of, person } of users) {
      if (of.device === 'signed out') await attempt(person, 'logout', {});
      if (of.device === 'a device that is looked at')
        await attempt(person, 'setAttention', { active: true }, 'viewer { id }');
      if (of.device === 'session expired') {
        const data = { expiresAt: new Date(Date.now() - HOUR_MS) };
        await db.session.updateMany({ where: { userId: rowId(person.id) }, data });
      }
    }

    const cases: { of: MessageCase; user: (typeof users)[number]; conversationId: string; messageId: string }[] = [];
    for (const { id, ownId, conversation, kind, members } of talks) {
      const text = {
        message: 'hello',
        everyone: '@everyone',
        mention: `@${members[0]?.person.username}`,
        reply: 'yes',
      }[kind];
      const message = ownId ? await reply(bob, id, ownId, text) : await send(bob, id, text);
      for (const user of members) {
        cases.push({ of: { ...user.of, ...conversation, kind }, user, conversationId: id, messageId: message.id });
      }
    }
    await notified(node);
    await untilAllWait(node);
    const tracesOf = () =>
      Promise.all(cases.map(({ user, messageId }) => traceOfUser(node.deps, rowId(user.person.id), rowId(messageId))));
    const outcomeOf = (trace: NotificationTrace | null | undefined) =>
      trace?.outcome === 'SENT' ? trace.pushes.length : trace?.outcome === 'WAITING' ? 'WAITING' : trace?.reason;
    const compare = (
      traces: (NotificationTrace | null)[],
      expected: (of: MessageCase) => number | string | undefined,
    ) => {
      const found = cases.map(({ of }, index) => ({ ...of, outcome: outcomeOf(traces[index]) }));
      expect(found).toEqual(cases.map(({ of }) => ({ ...of, outcome: expected(of) })));
    };
    // Only pushes to a device that is looked at wait: presence delays pushes, but decides nothing.
    const isLookedAt = ({ device }: UserCase) => device === 'a device that is looked at';
    const before = await tracesOf();
    compare(before, (of) => (isLookedAt(of) && expectedOf(of) === 1 ? 'WAITING' : expectedOf(of)));
    for (const trace of before) {
      if (trace?.outcome === 'WAITING') expect(trace.pushes).toMatchObject([{ waits: ['ATTENTION'] }]);
    }
    await makeDue(node);
    await untilNoneWaits(node);
    compare(await tracesOf(), expectedOf);
    // What the devices have received is what is recorded.
    for (const { of, person, devices } of users) {
      const pushed = cases.flatMap(({ user, of: message, conversationId }) =>
        user.person === person && typeof expectedOf(message) === 'number' ? conversationId : [],
      );
      for (const device of devices) {
        const received = device.received().map((push) => push.conversationId);
        expect([of, received.sort()]).toEqual([of, pushed.sort()]);
      }
    }
  });
});
