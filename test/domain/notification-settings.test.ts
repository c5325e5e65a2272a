import { beforeAll, describe, expect, it } from 'vitest';
import { includes, isTimeZone } from '../../src/domain/notification/quiet-hours.js';
import type { RunningNode } from '../../src/server/start.js';
import { connectInTest, type Json, listen, type Person, registerAll } from '../support/client.js';
import { changesOf, follower, rowId, syncCursorOf, untilDelivered } from '../support/durable-streams.js';
import { inOneMode, makePlace, modes, startTwo } from '../support/place.js';
import { attempt, createGroup, openDirect, send } from '../support/talk.js';

const SETTINGS = `notificationSettings {
  defaultLevel doNotDisturbUntil quietHours { from to timeZone } isQuiet pushPreview emailDigest
}`;
const OWN = 'id notificationLevel mutedUntil user { id }';
const VIEWER_CHANGES = `subscription ($after: String) {
  viewerChanges(after: $after) { type cursor replayed changeSeq membership { ${OWN} } viewer { ${SETTINGS} } }
}`;
const MEMBERS = `query ($id: ID!) { conversation(id: $id) { viewerMembership { ${OWN} } members { nodes { ${OWN} } } } }`;

const follow = follower('viewerChanges', VIEWER_CHANGES);
const setLevel = (person: Person, conversationId: string, level?: string | null) =>
  attempt(person, 'setNotificationLevel', { conversationId, level }, `membership { ${OWN} }`);
const mute = (person: Person, conversationId: string, until?: string | null) =>
  attempt(person, 'muteConversation', { conversationId, until }, `membership { ${OWN} }`);
const update = (person: Person, input: Json) =>
  attempt(person, 'updateNotificationSettings', input, `viewer { ${SETTINGS} }`);
const settingsOf = async (person: Person): Promise<Json> =>
  (await person.ask(`{ viewer { ${SETTINGS} } }`)).viewer.notificationSettings;
const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();

describe.each(modes)('notification settings in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let other: RunningNode;
  beforeAll(async () => {
    // With this interval, events are delivered by wake-ups and not by the sweep.
    [node, other] = await startTwo(await makePlace(mode), { SWEEP_INTERVAL: '1h', NOTIFICATION_PREVIEW: 'SENDER' });
  });

  it('begin with the defaults of the service, and deliver each change to all devices', async () => {
    const [ana] = await registerAll(node.url, 'ana');
    const defaults = {
      defaultLevel: 'ALL',
      doNotDisturbUntil: null,
      quietHours: null,
      isQuiet: false,
      pushPreview: 'SENDER',
      emailDigest: false,
    };
    expect(await settingsOf(ana)).toEqual(defaults);
    const streams = [await follow(ana, node.url), await follow(ana, other.url)];
    const quietHours = { from: '22:00', to: '07:30', timeZone: 'Asia/Kolkata' };
    const first = await update(ana, { defaultLevel: 'MENTIONS', quietHours, emailDigest: true });
    expect(first.viewer.notificationSettings).toMatchObject({
      defaultLevel: 'MENTIONS',
      quietHours,
      emailDigest: true,
    });
    // The same values again change nothing, and neither does an empty input.
    for (const same of [{ defaultLevel: 'MENTIONS' }, { quietHours }, {}]) await update(ana.at(other.url), same);
    const until = inHours(1);
    await update(ana.at(other.url), { doNotDisturbUntil: until, pushPreview: 'NOTHING' });
    await update(ana, {
      defaultLevel: null,
      doNotDisturbUntil: null,
      quietHours: null,
      pushPreview: null,
      emailDigest: null,
    });
    for (const stream of streams) {
      await untilDelivered(stream, 3);
      expect(changesOf(stream).map(({ type, changeSeq }) => [type, changeSeq])).toEqual([
        ['SETTINGS', 1],
        ['SETTINGS', 2],
        ['SETTINGS', 3],
      ]);
      expect(changesOf(stream).at(-1).viewer.notificationSettings).toEqual(defaults);
    }
    expect(await settingsOf(ana)).toEqual(defaults);
    await update(ana, { doNotDisturbUntil: until });
    expect(await settingsOf(ana)).toMatchObject({ doNotDisturbUntil: until, isQuiet: true });
  });

  it('of a conversation can be seen by their member alone, on all devices', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const group = await createGroup(ana, [bob]);
    const memberships = `subscription { conversations { type membership { ${OWN} } } }`;
    const [mine, his] = [await follow(ana, other.url), await follow(bob, other.url)];
    const shared = [ana, bob].map((person) =>
      listen(connectInTest(node.url, person.token), memberships, {}, 'conversations'),
    );
    for (const stream of shared) await stream.until(({ type }) => type === 'CAUGHT_UP');
    const until = inHours(8);
    expect(await setLevel(ana, group, 'NONE')).toMatchObject({ membership: { notificationLevel: 'NONE' } });
    expect(await mute(ana.at(other.url), group, until)).toMatchObject({
      membership: { notificationLevel: 'NONE', mutedUntil: until },
    });
    // The same values again change nothing.
    await setLevel(ana, group, 'NONE');
    await mute(ana, group, until);
    await untilDelivered(mine, 2);
    expect(changesOf(mine).map(({ type, membership }) => [type, membership.user.id])).toEqual([
      ['MEMBERSHIP_SETTINGS', ana.id],
      ['MEMBERSHIP_SETTINGS', ana.id],
    ]);
    expect(changesOf(mine).at(-1).membership).toMatchObject({ notificationLevel: 'NONE', mutedUntil: until });
    const { conversation } = await bob.ask(MEMBERS, { id: group });
    expect(conversation.members.nodes.map((each: Json) => [each.notificationLevel, each.mutedUntil])).toEqual([
      [null, null],
      [null, null],
    ]);
    // Her profile reaches both in an event of her membership, which is executed once for all viewers with the same key.
    await attempt(ana, 'updateProfile', { displayName: 'Ana' });
    const [hers, seenByBob] = await Promise.all(
      shared.map((stream) => stream.until(({ membership }) => membership?.user.id === ana.id)),
    );
    expect(hers?.membership).toMatchObject({ notificationLevel: 'NONE', mutedUntil: until });
    expect(seenByBob?.membership).toMatchObject({ notificationLevel: null, mutedUntil: null });
    expect(changesOf(his)).toEqual([]);
    await setLevel(ana, group, null);
    await mute(ana, group);
    expect((await ana.ask(MEMBERS, { id: group })).conversation.viewerMembership).toMatchObject({
      notificationLevel: null,
      mutedUntil: null,
    });
  });

  it('resume on any node with their present state', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    await node.deps.feed.sweep();
    const after = await syncCursorOf(ana);
    for (const level of ['ALL', 'NONE', 'MENTIONS']) await setLevel(ana, direct, level);
    for (const defaultLevel of ['NONE', 'MENTIONS']) await update(ana, { defaultLevel });
    const resumed = await follow(ana, other.url, after);
    expect(changesOf(resumed)).toMatchObject([
      { type: 'MEMBERSHIP_SETTINGS', replayed: true, membership: { notificationLevel: 'MENTIONS' } },
      { type: 'SETTINGS', replayed: true, viewer: { notificationSettings: { defaultLevel: 'MENTIONS' } } },
    ]);
  });

  itOnce('end with the membership, and with the account', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const { db } = node.deps.database;
    const group = await createGroup(ana, [bob]);
    await setLevel(bob, group, 'NONE');
    await attempt(bob, 'leaveConversation', { conversationId: group });
    expect(await setLevel(bob, group, 'ALL')).toBe('NOT_FOUND input.conversationId');
    await attempt(ana, 'addMembers', { conversationId: group, userIds: [bob.id] });
    expect((await bob.ask(MEMBERS, { id: group })).conversation.viewerMembership.notificationLevel).toBeNull();
    for (const person of [ana, bob]) await update(person, { defaultLevel: 'NONE' });
    const userIds = [ana, bob].map(({ id }) => rowId(id));
    await attempt(ana, 'deleteAccount', { password: ana.password });
    // As a node of version 0.1.0 deletes an account.
    await db.user.update({ where: { id: rowId(bob.id) }, data: { deletedAt: new Date() } });
    expect(await db.notificationSettings.count({ where: { userId: { in: userIds } } })).toBe(0);
  });

  itOnce('refuse invalid values with the path of the field', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const group = await createGroup(ana, [], { visibility: 'PUBLIC' });
    expect(await setLevel(bob, group, 'NONE')).toBe('FORBIDDEN input.conversationId');
    expect(await mute(bob, group, inHours(1))).toBe('FORBIDDEN input.conversationId');
    expect(await mute(ana, group, inHours(-1))).toBe('BAD_USER_INPUT input.until');
    expect(await update(ana, { doNotDisturbUntil: inHours(-1) })).toBe('BAD_USER_INPUT input.doNotDisturbUntil');
    const quietHours = { from: '22:00', to: '07:00', timeZone: 'Europe/Berlin' };
    const wrong: [string, Json][] = [
      ['from', { from: '24:00' }],
      ['from', { from: '7:00' }],
      ['to', { to: '07:60' }],
      ['to', { to: '22:00' }],
      ['timeZone', { timeZone: 'Europe/Nowhere' }],
      ['timeZone', { timeZone: '+02:00' }],
      ['timeZone', { timeZone: 'europe/berlin' }],
      ['timeZone', { timeZone: '' }],
    ];
    for (const [field, value] of wrong) {
      const answer = await update(ana, { quietHours: { ...quietHours, ...value } });
      expect([value, answer]).toEqual([value, `BAD_USER_INPUT input.quietHours.${field}`]);
    }
    await send(ana, group, 'hello');
    expect((await settingsOf(ana)).quietHours).toBeNull();
  });
});

describe('quiet hours', () => {
  const berlin = (from: string, to: string) => ({ from, to, timeZone: 'Europe/Berlin' });
  it.each([
    ['begin with their first minute', berlin('22:00', '23:00'), '2026-01-10T21:00:00Z', true],
    ['end before their last minute', berlin('22:00', '23:00'), '2026-01-10T22:00:00Z', false],
    ['span midnight', berlin('22:00', '07:00'), '2026-01-10T23:30:00Z', true],
    ['end in the morning', berlin('22:00', '07:00'), '2026-01-10T06:00:00Z', false],
    ['follow summer time', berlin('22:00', '07:00'), '2026-07-10T20:00:00Z', true],
    ['follow winter time', berlin('22:00', '07:00'), '2026-01-10T20:00:00Z', false],
    ['begin after the gap in which they would begin', berlin('02:30', '04:00'), '2026-03-29T00:59:00Z', false],
    ['include the first minute after the gap', berlin('02:30', '04:00'), '2026-03-29T01:00:00Z', true],
    ['include a repeated hour the first time', berlin('02:00', '03:00'), '2026-10-25T00:30:00Z', true],
    ['include a repeated hour the second time', berlin('02:00', '03:00'), '2026-10-25T01:30:00Z', true],
    ['end after a repeated hour', berlin('02:00', '03:00'), '2026-10-25T02:00:00Z', false],
    [
      'use zones with half hours',
      { ...berlin('00:00', '00:30'), timeZone: 'Asia/Kolkata' },
      '2026-01-10T18:45:00Z',
      true,
    ],
  ])('%s', (_title, hours, moment, expected) => {
    expect(includes(hours, new Date(moment))).toBe(expected);
  });

  it.each([
    ['UTC', true],
    ['Europe/Berlin', true],
    ['America/Argentina/Buenos_Aires', true],
    ['Asia/Kolkata', true],
    ['Etc/GMT+5', true],
    ['EST5EDT', false],
    ['europe/berlin', false],
    ['Europe/Nowhere', false],
    ['+02:00', false],
    ['Europe/Berlin\0', false],
  ])('have the time zone %s: %s', (name, expected) => {
    expect(isTimeZone(name)).toBe(expected);
  });
});
