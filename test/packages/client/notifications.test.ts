import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Parley } from '../../../packages/client/src/index.js';
import { FOREVER, isQuietAt, notificationsOf } from '../../../packages/client/src/notifications.js';
import { trimChangeLog } from '../../../src/realtime/change-log.js';
import type { RunningNode } from '../../../src/server/start.js';
import { eventually, type Person, registerAll } from '../../support/client.js';
import { rowId } from '../../support/durable-streams.js';
import { untilNotified } from '../../support/notifier.js';
import { detailModes, makePlace, sharedNode } from '../../support/place.js';
import { startProxy } from '../../support/proxy.js';
import { openAlone, openBrowser } from '../../support/tabs.js';
import {
  attempt,
  createGroup,
  edit,
  openAnswered,
  openDirect,
  react,
  remove,
  reply,
  send,
} from '../../support/talk.js';
import { followNotifications } from './notifications.js';

const HOUR = 3_600_000;

describe('isQuietAt', () => {
  const at = new Date('2026-07-01T22:30:00Z');
  const none = { doNotDisturbUntil: null, quietHours: null };
  const quiet = (from: string, to: string, timeZone = 'UTC') => ({ ...none, quietHours: { from, to, timeZone } });

  it.each([
    [none, false],
    [{ ...none, doNotDisturbUntil: '2026-07-01T22:30:01Z' }, true],
    [{ ...none, doNotDisturbUntil: '2026-07-01T22:30:00Z' }, false],
    [quiet('22:30', '22:31'), true],
    [quiet('22:00', '22:30'), false],
    [quiet('22:00', '07:00'), true],
    [quiet('23:00', '22:31'), true],
    [quiet('23:00', '22:30'), false],
    // In summer, it is 00:30 in Berlin.
    [quiet('00:00', '01:00', 'Europe/Berlin'), true],
    [quiet('22:00', '23:00', 'Europe/Berlin'), false],
  ])('%j: %s', (settings, expected) => {
    expect(isQuietAt(settings, at)).toBe(expected);
  });
});

describe.each(detailModes)('the notifications of the client in %s mode', (mode) => {
  let node: RunningNode;

  beforeAll(async () => {
    node = await sharedNode(mode);
  });

  async function signIn(parley: Parley, person: Person) {
    const notifications = notificationsOf(parley);
    await parley.session.useTokens({ accessToken: person.token, refreshToken: person.refreshToken });
    await eventually('it is live', () => parley.connection.value.status === 'live' && notifications.value.isLoaded);
    return notifications;
  }
  const open = (person: Person) => signIn(openAlone({ url: node.url }), person);
  const kindsOf = ({ value }: { value: ReturnType<typeof notificationsOf>['value'] }) =>
    value.notifications.map(({ kind, readAt }) => `${kind}${readAt === null ? '' : ' read'}`);

  it('show the inbox, and what is read of it, on all devices', async () => {
    const [ana, ben, cleo] = await registerAll(node.url, 'ana', 'ben', 'cleo');
    const group = await createGroup(ben, [ana, cleo], { title: 'Climbing' });
    const own = await send(ana, group, 'mine');
    await untilNotified(node);
    const [first, second] = await Promise.all([open(ana), open(ana)]);
    expect(first.value.notifications).toMatchObject([
      { kind: 'ADDED_TO_GROUP', count: 1, actors: [{ id: ben.id }], conversation: { title: 'Climbing' } },
    ]);
    const mention = await send(ben, group, `@${ana.username} when?`);
    for (const person of [ben, cleo]) await react(person, own.id, '👍');
    await eventually('both know', () =>
      [first, second].every(({ value }) => value.unreadCount === 3 && value.notifications[0]?.count === 2),
    );
    expect(second.value.notifications).toMatchObject([
      { kind: 'REACTION', count: 2, actors: [{ id: cleo.id }, { id: ben.id }], message: { id: own.id, text: 'mine' } },
      { kind: 'MENTION', conversationId: group, message: { id: mention.id, seq: mention.seq } },
      { kind: 'ADDED_TO_GROUP', message: undefined },
    ]);
    // An edit is shown without a change of the notification.
    await edit(ben, mention.id, `@${ana.username} at nine?`);
    await eventually(
      'it shows the new text',
      () => first.value.notifications[1]?.message?.text?.includes('nine') === true,
    );
    const [reaction, , addition] = first.value.notifications;
    await first.markRead(reaction?.id ?? '');
    expect(kindsOf(first)).toEqual(['REACTION read', 'MENTION', 'ADDED_TO_GROUP']);
    await eventually('the other device knows', () => kindsOf(second).join() === kindsOf(first).join());
    expect([first.value.unreadCount, second.value.unreadCount]).toEqual([2, 2]);
    expect(first.value.notifications[2]).toBe(addition);
    // Reading the conversation reads the mention.
    await attempt(ana, 'markRead', { conversationId: group, seq: mention.seq });
    await eventually('it is read', () => kindsOf(first)[1] === 'MENTION read');
    const marking = second.markAllRead();
    expect(second.value.unreadCount).toBe(0);
    expect(kindsOf(second)[2]).toBe('ADDED_TO_GROUP read');
    await marking;
    await eventually('both know', () => [first, second].every(({ value }) => value.unreadCount === 0));
    // What is deleted leaves the inbox.
    await remove(ben, mention.id);
    await eventually('it is gone', () => [first, second].every((each) => each.value.notifications.length === 2));
  });

  it('load older pages, and have no gaps when older ones change', async () => {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const direct = await openDirect(ben, ana);
    const own = await send(ana, direct, 'mine');
    const createdAt = (index: number) => new Date(Date.now() - (index + 1) * 60_000);
    const data = Array.from({ length: 45 }, (_, index) => ({
      ...{ id: randomUUID(), userId: rowId(ana.id), kind: 'REPLY' as const, collapseId: randomUUID() },
      ...{ conversationId: rowId(direct), seq: own.seq, actorIds: [rowId(ben.id)], count: index + 1 },
      createdAt: createdAt(index),
    }));
    await node.deps.database.db.notification.createMany({ data });
    const inbox = await open(ana);
    const counts = () => inbox.value.notifications.map(({ count }) => count);
    const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
    expect(counts()).toEqual(upTo(30));
    expect(inbox.value).toMatchObject({ hasMore: true, unreadCount: 45 });
    await inbox.markAllRead();
    // The changes of all 45 come before this one.
    const mention = await send(ben, direct, `@${ana.username}`);
    await eventually('it arrives', () => inbox.value.notifications[0]?.message?.id === mention.id);
    expect(counts()).toEqual([1, ...upTo(30)]);
    await inbox.loadMore();
    expect(counts()).toEqual([1, ...upTo(45)]);
    expect(inbox.value).toMatchObject({ hasMore: false, unreadCount: 1 });
    expect(inbox.value.notifications.filter(({ readAt }) => readAt === null)).toHaveLength(1);
  });

  it('are available without a connection, and current again after it', { timeout: 60_000 }, async () => {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const direct = await openDirect(ben, ana);
    const own = await send(ana, direct, 'mine');
    const proxy = await startProxy(Number(new URL(node.url).port));
    const browser = openBrowser();
    const options = { url: `http://127.0.0.1:${proxy.port}/graphql` };
    const parley = browser.open(options);
    const inbox = await signIn(parley, ana);
    const answer = await reply(ben, direct, own.id, 'first');
    await eventually('it is there', () => inbox.value.notifications.length === 1);
    proxy.pointTo(1);
    proxy.cut();
    // It is shown as read while the server is asked, and not if that fails.
    const marking = inbox.markAllRead();
    expect([inbox.value.unreadCount, kindsOf(inbox)]).toEqual([0, ['REPLY read']]);
    await expect(marking).rejects.toMatchObject({ code: 'NETWORK' });
    expect([inbox.value.unreadCount, kindsOf(inbox)]).toEqual([1, ['REPLY']]);
    await parley.close();
    const next = browser.open(options);
    const again = notificationsOf(next);
    await eventually('the stored message is shown', () => again.value.notifications[0]?.message?.text === 'first');
    expect([again.value.unreadCount, kindsOf(again)]).toEqual([1, ['REPLY']]);
    await remove(ben, answer.id);
    const newest = await send(ben, direct, `@${ana.username}`);
    await untilNotified(node);
    proxy.pointTo(Number(new URL(node.url).port));
    await eventually('it is current', () => again.value.notifications[0]?.message?.id === newest.id);
    await eventually('nothing else is there', () => again.value.notifications.length === 1);
    expect(again.value.unreadCount).toBe(1);
  });

  it('choose levels, mutes and settings on all devices', async () => {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const direct = await openAnswered(ben, ana);
    const [first, second] = await Promise.all([open(ana), open(ana)]);
    const [here, there] = [first.level(direct), second.level(direct)];
    expect(here.value).toEqual({ chosen: null, level: 'ALL', mutedUntil: null, isSilent: false });
    await first.setLevel(direct, 'NONE');
    await eventually('both devices know', () => [here, there].every(({ value }) => value.chosen === 'NONE'));
    expect(here.value).toMatchObject({ level: 'NONE', isSilent: true });
    await second.setLevel(direct, null);
    await second.updateSettings({ defaultLevel: 'MENTIONS' });
    await eventually('the default applies', () => here.value.level === 'MENTIONS' && here.value.chosen === null);
    await first.mute(direct, FOREVER);
    await eventually('it is muted', () => there.value.isSilent && there.value.mutedUntil !== null);
    await first.mute(direct, null);
    await eventually('it is not muted', () => !there.value.isSilent);
    // A mute ends by itself.
    const received: boolean[] = [];
    const stop = here.subscribe(({ isSilent }) => received.push(isSilent));
    await first.mute(direct, new Date(Date.now() + 1_500));
    await eventually('it has ended', () => received.length === 3);
    expect(received).toEqual([false, true, false]);
    stop();
    const quietHours = { from: '22:00', to: '07:00', timeZone: 'Europe/Berlin' };
    await first.updateSettings({ quietHours, pushPreview: 'SENDER', locale: 'de', emailDigest: true });
    const expected = { defaultLevel: 'MENTIONS', quietHours, pushPreview: 'SENDER', locale: 'de', emailDigest: true };
    await eventually('both devices know', () =>
      [first, second].every(({ settings }) => settings.value?.locale === 'de'),
    );
    for (const { settings } of [first, second]) expect(settings.value).toMatchObject(expected);
    const wrong = first.updateSettings({ quietHours: { ...quietHours, timeZone: 'Moon' } });
    await expect(wrong).rejects.toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.quietHours.timeZone' });
    await expect(first.mute(direct, new Date(0))).rejects.toMatchObject({ field: 'input.until' });
    // A device that signs in later has the same.
    await first.setLevel(direct, 'ALL');
    const third = await open(ana);
    expect(third.level(direct).value).toMatchObject({ chosen: 'ALL', level: 'ALL' });
    expect(third.settings.value).toMatchObject(expected);
  });

  it('notify of what the user wants to be notified of', async () => {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    // Owners can mention everybody.
    const group = await createGroup(ben, [ana]);
    const own = await send(ana, group, 'mine');
    const parley = openAlone({ url: node.url });
    const notifications = await signIn(parley, ana);
    const [received, arrived, wanted]: [string[], string[], string[]] = [[], [], []];
    // What docs/CLIENTS.md shows.
    const shown = { badge: 0, lines: [] as string[], sounds: 0 };
    followNotifications(parley, {
      showBadge: (count) => Object.assign(shown, { badge: count }),
      showList: (lines) => Object.assign(shown, { lines }),
      playSound: () => (shown.sounds += 1),
    });
    notifications.onNotify(({ text }) => received.push(text ?? ''));
    parley.onMessage((message) => {
      arrived.push(message.text ?? '');
      if (notifications.isWanted(message)) wanted.push(message.text ?? '');
    });
    const say = async (name: string) => {
      await send(ben, group, `${name} plain`);
      await send(ben, group, `${name} mention @${ana.username}`);
      await send(ben, group, `${name} everyone @everyone`);
      await reply(ben, group, own.id, `${name} reply`);
      // It follows the settings at the time when it processes the messages.
      await untilNotified(node);
      await eventually('all have arrived', () => arrived.filter((text) => text.startsWith(name)).length === 4);
      return received
        .filter((text) => text.startsWith(name))
        .map((text) => text.split(' ')[1])
        .join(' ');
    };
    const future = new Date(Date.now() + HOUR);
    expect(await say('all')).toBe('plain mention everyone reply');
    const applies = (name: string) => eventually('it applies', () => notifications.level(group).value.level === name);
    await notifications.setLevel(group, 'MENTIONS');
    await applies('MENTIONS');
    expect(await say('mentions')).toBe('mention everyone reply');
    await notifications.setLevel(group, 'NONE');
    await applies('NONE');
    expect(await say('none')).toBe('');
    await notifications.setLevel(group, 'ALL');
    await notifications.mute(group, future);
    await eventually('it is muted', () => notifications.level(group).value.mutedUntil !== null);
    expect(await say('muted')).toBe('');
    await notifications.mute(group, null);
    await eventually('it is not muted', () => !notifications.level(group).value.isSilent);
    await notifications.updateSettings({ doNotDisturbUntil: future.toISOString() });
    await eventually('it is quiet', () => notifications.isQuiet.value);
    expect(await say('quiet')).toBe('');
    await notifications.updateSettings({ doNotDisturbUntil: null });
    await eventually('it is not quiet', () => !notifications.isQuiet.value);
    expect(await say('again')).toBe('plain mention everyone reply');
    expect(wanted).toEqual(received);
    expect(shown.sounds).toBe(received.length);
    // In four rounds two mentions and a reply, of which the replies are one notification.
    const expected = ['added you to a group', ...Array(8).fill('mentioned you'), 'sent 4 replies to you'];
    const lines = expected.map((what) => `${ben.username} ${what}`).join('\n');
    await eventually('the inbox is shown', () => shown.badge === 10 && [...shown.lines].sort().join('\n') === lines);
  });
});

describe.each(detailModes)('notifications whose cursor has expired in %s mode', (mode) => {
  it('are fetched again', async () => {
    const node = await (await makePlace(mode)).start({ SWEEP_INTERVAL: '1h' });
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const direct = await openDirect(ben, ana);
    const proxy = await startProxy(Number(new URL(node.url).port));
    const parley = openAlone({ url: `http://127.0.0.1:${proxy.port}/graphql` });
    const inbox = notificationsOf(parley);
    await parley.session.useTokens({ accessToken: ana.token, refreshToken: ana.refreshToken });
    const gone = await send(ben, direct, `@${ana.username} first`);
    await eventually('it is there', () => inbox.value.notifications.length === 1);
    proxy.pointTo(1);
    proxy.cut();
    await remove(ben, gone.id);
    const kept = await send(ben, direct, `@${ana.username} second`);
    await attempt(ana, 'setNotificationLevel', { conversationId: direct, level: 'MENTIONS' });
    await untilNotified(node);
    await eventually('the log is trimmed', async () => (await trimChangeLog(node.deps.database.db, 0)) > 0);
    proxy.pointTo(Number(new URL(node.url).port));
    await eventually('it is current', () => inbox.value.notifications[0]?.message?.id === kept.id);
    expect(inbox.value).toMatchObject({ notifications: [{ kind: 'MENTION' }], unreadCount: 1 });
    expect(inbox.level(direct).value.level).toBe('MENTIONS');
  });
});
