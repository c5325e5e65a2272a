import { beforeAll, describe, expect, it } from 'vitest';
import { encodeGlobalId } from '../../src/core/ids.js';
import { digestMail } from '../../src/domain/digest/digest.mail.js';
import { digestWorker } from '../../src/domain/digest/digest.worker.js';
import { payloadOf } from '../../src/domain/push/push.payload.js';
import type { RunningNode } from '../../src/server/start.js';
import { type Person, registerAll } from '../support/client.js';
import { rowId } from '../support/durable-streams.js';
import { atFileEnd } from '../support/ending.js';
import { type MailServer, startMailServer } from '../support/mail.js';
import { notified } from '../support/notified.js';
import { inOneMode, makePlace, modes } from '../support/place.js';
import { attempt, createGroup, openDirect, remove, reply, send } from '../support/talk.js';

const PUBLIC_URL = 'https://chat.example.com';

describe.each(modes)('emails about unread messages in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let mails: MailServer;
  let node: RunningNode;
  beforeAll(async () => {
    mails = await startMailServer({ end: atFileEnd });
    node = await (await makePlace(mode)).start({
      SMTP_URL: mails.url,
      MAIL_FROM: 'Chat <chat@example.com>',
      PUBLIC_URL,
    });
  });

  /** Sends a message, of which its recipients are notified. */
  async function say(person: Person, conversationId: string, text: string): Promise<{ id: string }> {
    const message = await send(person, conversationId, text);
    await notified(node, message);
    return message;
  }

  /** Two users, of whom the first wants mails. */
  async function people(): Promise<[Person, Person]> {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    await attempt(ana, 'updateNotificationSettings', { emailDigest: true });
    return [ana, bob];
  }
  const digestOf = ({ id }: Person) => node.deps.database.db.mailDigest.findUnique({ where: { userId: rowId(id) } });
  const minutesUntil = (at: Date | undefined) => ((at?.getTime() ?? 0) - Date.now()) / 60_000;
  /** Lets the time of the next mail come. */
  async function whenDue(): Promise<void> {
    await node.deps.database.db.mailDigest.updateMany({ data: { dueAt: new Date(0) } });
    await digestWorker.of(node.deps).run();
  }

  it('come with growing pauses while messages stay unread, and start from the beginning when all were read', async () => {
    const [ana, bob] = await people();
    expect((await ana.ask('{ serverInfo { features } }')).serverInfo.features).toContain('emailDigest');
    const conversationId = await openDirect(bob, ana);
    await say(bob, conversationId, 'first');
    expect(minutesUntil((await digestOf(ana))?.dueAt)).toBeCloseTo(15, 0);
    // Further messages do not delay the mail.
    await say(bob, conversationId, 'second');
    await whenDue();
    const [mail] = await mails.until(ana.email);
    expect(mail?.subject).toBe('You have 2 unread messages');
    for (const [index, minutes] of [60, 240, 1_440, 1_440].entries()) {
      expect(minutesUntil((await digestOf(ana))?.dueAt)).toBeCloseTo(minutes, 0);
      await say(bob, conversationId, `further ${index}`);
      await whenDue();
      expect(await mails.until(ana.email, index + 2)).toHaveLength(index + 2);
    }
    await attempt(ana, 'markRead', { conversationId, seq: 6 });
    await whenDue();
    expect(await digestOf(ana)).toBeNull();
    await say(bob, conversationId, 'much later');
    expect(minutesUntil((await digestOf(ana))?.dueAt)).toBeCloseTo(15, 0);
    expect(mails.to(ana.email)).toHaveLength(5);
  });

  itOnce.each<[string, (scene: { ana: Person; bob: Person; conversationId: string; id: string }) => Promise<unknown>]>([
    ['the messages were read', ({ ana, conversationId }) => attempt(ana, 'markRead', { conversationId, seq: 1 })],
    ['the message was deleted', ({ bob, id }) => remove(bob, id)],
    ['the user has left', ({ ana, conversationId }) => attempt(ana, 'leaveConversation', { conversationId })],
    [
      'the conversation was muted',
      ({ ana, conversationId }) => attempt(ana, 'muteConversation', { conversationId, until: '2999-01-01T00:00:00Z' }),
    ],
    ['the sender was blocked', ({ ana, bob }) => attempt(ana, 'blockUser', { userId: bob.id })],
    ['mails were switched off', ({ ana }) => attempt(ana, 'updateNotificationSettings', { emailDigest: false })],
    ['the account was deleted', ({ ana }) => attempt(ana, 'deleteAccount', { password: ana.password })],
  ])('do not come if %s', async (_what, act) => {
    const [ana, bob] = await people();
    const conversationId = await createGroup(bob, [ana]);
    const { id } = await say(bob, conversationId, 'hello');
    expect(await digestOf(ana)).not.toBeNull();
    expect(typeof (await act({ ana, bob, conversationId, id }))).not.toBe('string');
    await whenDue();
    expect(await digestOf(ana)).toBeNull();
    expect(mails.to(ana.email)).toEqual([]);
  });

  itOnce('wait while the user does not want to be disturbed', async () => {
    const [ana, bob] = await people();
    await attempt(ana, 'updateNotificationSettings', { doNotDisturbUntil: '2999-01-01T00:00:00Z' });
    await say(bob, await openDirect(bob, ana), 'hello');
    await whenDue();
    expect(mails.to(ana.email)).toEqual([]);
    await attempt(ana, 'updateNotificationSettings', { doNotDisturbUntil: null });
    const hour = (offset: number) => new Date(Date.now() + offset * 3_600_000).toISOString().slice(11, 16);
    const quietHours = { from: hour(-3), to: hour(3), timeZone: 'UTC' };
    await attempt(ana, 'updateNotificationSettings', { quietHours });
    await whenDue();
    expect(mails.to(ana.email)).toEqual([]);
    await attempt(ana, 'updateNotificationSettings', { quietHours: { ...quietHours, from: hour(3), to: hour(6) } });
    await whenDue();
    await mails.until(ana.email);
  });

  itOnce('are about mentions and replies only if the user wants no more', async () => {
    const [ana, bob] = await people();
    const conversationId = await createGroup(bob, [ana]);
    const own = await send(ana, conversationId, 'mine');
    await attempt(ana, 'updateNotificationSettings', { defaultLevel: 'MENTIONS' });
    await say(bob, conversationId, 'not for her');
    expect(await digestOf(ana)).toBeNull();
    await notified(node, await reply(bob, conversationId, own.id, 'an answer'));
    await say(bob, conversationId, `hello @${ana.username}`);
    await whenDue();
    const [mail] = await mails.until(ana.email);
    expect(mail?.subject).toBe('You have 2 unread messages');
  });

  itOnce('are not sent to users who do not want them', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    await say(bob, await openDirect(bob, ana), 'hello');
    expect(await digestOf(ana)).toBeNull();
  });

  itOnce('show as much as the user has chosen, in their language', async () => {
    const [ana, bob] = await people();
    expect(await attempt(ana, 'updateNotificationSettings', { locale: 'x' })).toBe('BAD_USER_INPUT input.locale');
    await attempt(ana, 'updateNotificationSettings', { pushPreview: 'NOTHING', locale: 'de-AT' });
    await say(bob, await createGroup(bob, [ana], { title: 'Picnic' }), 'the secret');
    await whenDue();
    const [mail] = await mails.until(ana.email);
    expect(mail?.source).toContain('Sie erhalten diese E-Mail');
    for (const hidden of [bob.username, 'Picnic', 'the secret']) expect(mail?.source).not.toContain(hidden);
  });

  itOnce('can be ended with one click, by the link in their header', async () => {
    const [ana, bob] = await people();
    const conversationId = await openDirect(bob, ana);
    await say(bob, conversationId, 'hello');
    await whenDue();
    const [mail] = await mails.until(ana.email);
    const source = mail?.source.replaceAll(/\n[ \t]+/g, ' ') ?? '';
    expect(source).toContain('List-Unsubscribe-Post: List-Unsubscribe=One-Click');
    expect(source).toContain('List-Unsubscribe: <https://chat.example.com/unsubscribe?');
    // The header is the same, but the helper that decodes bodies changes it.
    const [, link = ''] = /^Unsubscribe: (\S+)$/m.exec(source) ?? [];
    const url = new URL(`/unsubscribe${new URL(link).search}`, node.url);
    const wants = async () =>
      (await ana.ask('{ viewer { notificationSettings { emailDigest } } }')).viewer.notificationSettings.emailDigest;
    // Opening the link is not enough, because programs do that.
    const page = await fetch(url);
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('<form method="post">')]);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(await wants()).toBe(true);
    const forged = new URL(url);
    forged.searchParams.set('token', `${rowId(bob.id)}.${url.searchParams.get('token')?.split('.')[1]}`);
    expect((await fetch(forged, { method: 'POST' })).status).toBe(400);
    expect((await fetch(url, { method: 'PUT' })).status).toBe(405);
    await attempt(ana, 'updateNotificationSettings', { locale: 'de' });
    expect(await (await fetch(url)).text()).toMatch(/lang="de".*Abbestellen/s);
    const post = await fetch(url, { method: 'POST', body: new URLSearchParams({ 'List-Unsubscribe': 'One-Click' }) });
    expect(post.status).toBe(200);
    expect(await wants()).toBe(false);
    await say(bob, conversationId, 'another');
    expect(await digestOf(ana)).toBeNull();
  });
});

it('emails escape the texts of users and load nothing', () => {
  const conversation = {
    kind: 'GROUP',
    id: '019abcde-0000-7000-8000-000000000000',
    isNew: true,
    isEncrypted: false,
    count: 1,
    seq: 3,
  } as const;
  const mail = digestMail({
    to: 'ana@example.com',
    preview: 'FULL',
    locale: 'ar',
    conversations: [
      {
        ...conversation,
        title: '<script>alert(1)</script>',
        text: '<img src="https://evil.example/a">',
        senderName: '"><b>',
      },
    ],
    publicUrl: PUBLIC_URL,
    unsubscribeUrl: `${PUBLIC_URL}/unsubscribe?token=a&b`,
  });
  expect(mail.html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
  expect(mail.html).not.toMatch(/<(?:script|img|b|link|iframe)\b/);
  expect(mail.html).not.toMatch(/<[^>]*\ssrc=|url\(|@import/);
  expect(mail.html).toContain('<html lang="ar" dir="rtl">');
  expect(mail.html).toContain('/c/Conversation_');
  expect(mail.text).toContain('<script>alert(1)</script> (');
  expect(mail.subject).not.toMatch(/script/);
});

it('emails and pushes about a message that has only attachments mention this, in the language of the user', () => {
  const id = '019abcde-0000-7000-8000-000000000000';
  const mail = digestMail({
    to: 'ana@example.com',
    preview: 'FULL',
    locale: 'de',
    conversations: [
      {
        kind: 'GROUP',
        id,
        isNew: true,
        count: 1,
        seq: 3,
        title: 'Picnic',
        text: '',
        isEncrypted: false,
        senderName: 'Bob',
      },
    ],
    publicUrl: PUBLIC_URL,
    unsubscribeUrl: `${PUBLIC_URL}/unsubscribe`,
  });
  expect(mail.text).toContain('Bob: Anhang\n');
  const push = payloadOf(
    {
      preview: 'FULL',
      conversation: { id, kind: 'DIRECT', title: null },
      message: { id, seq: 3, text: '', encrypted: null },
      senderName: 'Bob',
      count: 1,
      unreadCount: 1,
      tag: 'tag',
      locale: 'en',
      appUrl: undefined,
    },
    'REGULAR',
  );
  expect(JSON.parse(push).notification).toMatchObject({ title: 'Bob', body: 'Attachment' });
});

it('emails and pushes about an encrypted message announce it without a text, and pushes contain its content', () => {
  const id = '019abcde-0000-7000-8000-000000000000';
  const mail = digestMail({
    to: 'ana@example.com',
    preview: 'FULL',
    locale: 'en',
    conversations: [
      {
        kind: 'DIRECT',
        id,
        isNew: true,
        count: 1,
        seq: 3,
        title: null,
        text: '',
        isEncrypted: true,
        senderName: 'Bob',
      },
    ],
    publicUrl: PUBLIC_URL,
    unsubscribeUrl: `${PUBLIC_URL}/unsubscribe`,
  });
  expect(mail.text).toContain('Bob (1 message)');
  expect(mail.text).not.toContain('Attachment');
  const pushOf = (preview: 'FULL' | 'SENDER', length: number) => {
    const content = 'A'.repeat(length);
    const encrypted = { generation: 1, epoch: 2, deviceId: id, content };
    const about = { conversation: { id, kind: 'DIRECT' as const, title: null }, senderName: 'Bob', count: 1 };
    const more = { unreadCount: 1, tag: 't', notice: undefined, locale: 'en', appUrl: PUBLIC_URL };
    return JSON.parse(
      payloadOf({ preview, message: { id, seq: 3, text: '', encrypted }, ...about, ...more }, 'REGULAR'),
    );
  };
  expect(pushOf('FULL', 400)).toMatchObject({
    notification: { title: 'Bob', body: 'New message' },
    encrypted: { generation: 1, epoch: 2, deviceId: encodeGlobalId('Device', id), content: 'A'.repeat(400) },
  });
  expect(pushOf('SENDER', 400)).not.toHaveProperty('encrypted');
  expect(pushOf('FULL', 5000)).not.toHaveProperty('encrypted');
});
