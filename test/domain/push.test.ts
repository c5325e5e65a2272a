import { beforeAll, describe, expect, it } from 'vitest';
import type { DropReason } from '../../src/domain/push/push.policy.js';
import { pushWorker } from '../../src/domain/push/push.worker.js';
import { Prisma } from '../../src/generated/prisma/client.js';
import type { RunningNode } from '../../src/server/start.js';
import { ask, eventually, type Json, type Person, register, registerAll, request } from '../support/client.js';
import { makeDue, registerDevice, untilAllWait, untilNoneWaits } from '../support/devices.js';
import { rowId } from '../support/durable-streams.js';
import { atFileEnd } from '../support/ending.js';
import { notified } from '../support/notified.js';
import { inOneMode, makePlace, modes, startTwo } from '../support/place.js';
import { makeBrowserKeys, type PushService, startPushService } from '../support/push-service.js';
import { attempt, createGroup, edit, openDirect, remove, reply, send } from '../support/talk.js';

const SUBSCRIPTION = 'id kind createdAt lastSucceededAt session { id current }';
const devicesOf = async (person: Person): Promise<Json[]> =>
  (await person.ask(`{ viewer { pushSubscriptions { ${SUBSCRIPTION} } } }`)).viewer.pushSubscriptions;
const readTo = (person: Person, conversationId: string, seq: number) =>
  attempt(person, 'markRead', { conversationId, seq });
const attend = async (person: Person, active: boolean) => {
  expect(await attempt(person, 'setAttention', { active }, 'viewer { id }')).toMatchObject({ viewer: {} });
};
/** Quiet hours from three hours before to three hours after a time, which is `hours` from now. */
function hoursAround(hours: number) {
  const time = (offset: number) => new Date(Date.now() + (hours + offset) * 3_600_000).toISOString().slice(11, 16);
  return { from: time(-3), to: time(3), timeZone: 'UTC' };
}

describe.each(modes)('pushes in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let service: PushService;
  let node: RunningNode;
  let other: RunningNode;
  beforeAll(async () => {
    service = await startPushService(atFileEnd);
    [node, other] = await startTwo(await makePlace(mode), {
      PUSH_HOSTS: `${service.origin},push.example.com,*.push.example.com`,
      PUSH_GATEWAY_URL: service.origin,
      PUSH_SUBSCRIPTIONS_MAX: '3',
      PUSH_ATTENTION_DELAY: '1h',
      PUSH_BADGE_DELAY: '50ms',
    });
  });

  const droppedBy = (reason: DropReason) =>
    [node, other].reduce((sum, { deps }) => sum + (pushWorker.of(deps).counts.dropped.get(reason) ?? 0), 0) /
    (node === other ? 2 : 1);

  describe('registration', () => {
    it('keeps one subscription of a device, which its user can list, load and remove', async () => {
      const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
      const device = await registerDevice(ana, service);
      const again = { web: { ...device.input.web, ...pickKeys() } };
      const second = await attempt(ana.at(other.url), 'registerPush', again, `pushSubscription { ${SUBSCRIPTION} }`);
      expect(second.pushSubscription).toMatchObject({
        id: device.id,
        kind: 'WEB',
        lastSucceededAt: null,
        session: { current: true },
      });
      expect(await devicesOf(ana)).toEqual([second.pushSubscription]);
      const NODE = `query ($id: ID!) { node(id: $id) { ... on PushSubscription { ${SUBSCRIPTION} } } }`;
      expect((await ana.ask(NODE, { id: device.id })).node).toEqual(second.pushSubscription);
      // For others it does not exist.
      expect((await bob.ask(NODE, { id: device.id })).node).toBeNull();
      const removal = { pushSubscriptionId: device.id };
      expect(await attempt(bob, 'removePush', removal)).toBe('NOT_FOUND input.pushSubscriptionId');
      expect(await attempt(ana, 'removePush', removal, 'viewer { pushSubscriptions { id } }')).toEqual({
        viewer: { pushSubscriptions: [] },
      });
      expect(await attempt(ana, 'removePush', removal)).toBe('NOT_FOUND input.pushSubscriptionId');
    });

    it('moves a device to the user who registers it last', async () => {
      const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
      const device = await registerDevice(ana, service);
      await notified(node, await send(bob, await openDirect(bob, ana), 'before'));
      await device.until();
      expect(typeof (await attempt(bob, 'registerPush', device.input))).not.toBe('string');
      expect(await devicesOf(ana)).toEqual([]);
      expect(await devicesOf(bob)).toHaveLength(1);
    });

    it('replaces the oldest device beyond the maximum', async () => {
      const ana = await register(node.url, 'ana');
      const ids: string[] = [];
      for (let count = 0; count < 4; count += 1) ids.push((await registerDevice(ana, service)).id);
      expect((await devicesOf(ana)).map(({ id }) => id)).toEqual(ids.slice(1).reverse());
    });

    const valid = { endpoint: 'https://push.example.com/a', ...pickKeys() };
    itOnce.each([
      ['neither', {}, 'input.web'],
      ['both', { web: valid, gateway: { appId: 'a', pushKey: 'b' } }, 'input.gateway'],
      ['no URL', { web: { ...valid, endpoint: 'push' } }, 'input.web.endpoint'],
      ['http', { web: { ...valid, endpoint: 'http://push.example.com/a' } }, 'input.web.endpoint'],
      ['another host', { web: { ...valid, endpoint: 'https://example.com/a' } }, 'input.web.endpoint'],
      ['an address', { web: { ...valid, endpoint: 'https://169.254.169.254/a' } }, 'input.web.endpoint'],
      ['credentials', { web: { ...valid, endpoint: 'https://u:p@push.example.com/a' } }, 'input.web.endpoint'],
      [
        'a long URL',
        { web: { ...valid, endpoint: `https://push.example.com/${'a'.repeat(2_000)}` } },
        'input.web.endpoint',
      ],
      ['a wrong key', { web: { ...valid, p256dh: 'AAAA' } }, 'input.web.p256dh'],
      ['a wrong secret', { web: { ...valid, auth: 'AAAA' } }, 'input.web.auth'],
      ['no app', { gateway: { appId: '', pushKey: 'b' } }, 'input.gateway.appId'],
      ['a long app', { gateway: { appId: 'a'.repeat(65), pushKey: 'b' } }, 'input.gateway.appId'],
      ['a long push key', { gateway: { appId: 'a', pushKey: 'b'.repeat(513) } }, 'input.gateway.pushKey'],
    ])('rejects %s', async (_what, input, field) => {
      const ana = await register(node.url, 'ana');
      expect(await attempt(ana, 'registerPush', input)).toBe(`BAD_USER_INPUT ${field}`);
      expect(await devicesOf(ana)).toEqual([]);
    });

    itOnce('needs a viewer', async () => {
      const ana = await register(node.url, 'ana');
      const signedOut: Person = { ...ana, request: (query, variables) => request(node.url, query, variables) };
      for (const [mutation, input] of Object.entries({
        registerPush: { web: valid },
        removePush: { pushSubscriptionId: 'PushSubscription_AAAAAAAAAAAAAAAAAAAAAA' },
        setAttention: { active: true },
      })) {
        expect(await attempt(signedOut, mutation, input)).toBe('UNAUTHENTICATED');
      }
    });

    itOnce('has one public key on all nodes', async () => {
      const keyAt = async ({ url }: RunningNode) =>
        (await request(url, '{ serverInfo { webPushPublicKey features } }')).data.serverInfo;
      const [one, two] = [await keyAt(node), await keyAt(other)];
      expect(Buffer.from(one.webPushPublicKey, 'base64url')).toHaveLength(65);
      expect(two.webPushPublicKey).toBe(one.webPushPublicKey);
      expect(one.features).toEqual(expect.arrayContaining(['webPush', 'pushGateway']));
    });
  });

  describe('what devices receive', () => {
    it('is the newest message, its sender, and the number of unread messages', async () => {
      const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
      const device = await registerDevice(ana, service);
      const conversationId = await openDirect(bob, ana);
      const message = await send(bob, conversationId, 'Hello\n <b>Ana</b>  👋');
      await notified(node, message);
      const [push] = await device.until();
      expect(push).toEqual({
        web_push: 8030,
        mutable: true,
        notification: {
          title: bob.username,
          body: 'Hello <b>Ana</b> 👋',
          navigate: `/c/${conversationId}/1`,
          tag: expect.stringMatching(/^[\w-]{32}$/),
          lang: 'en',
          dir: 'auto',
        },
        app_badge: 1,
        conversationId,
        messageId: message.id,
      });
      const [{ headers } = { headers: {} }] = service.to(device.path);
      expect(headers).toMatchObject({ topic: push.notification.tag, urgency: 'high', ttl: '86400' });
      await untilNoneWaits(node);
      expect((await devicesOf(ana))[0].lastSucceededAt).not.toBeNull();
    });

    itOnce('names the group and the sender, and is urgent for mentions and replies only', async () => {
      const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
      const device = await registerDevice(ana, service);
      const group = await createGroup(bob, [ana], { title: 'Picnic' });
      const own = await send(ana, group, 'mine');
      const urgencies = () => service.to(device.path).map(({ headers }) => headers['urgency']);
      await notified(node, own, await send(bob, group, 'hello'));
      await device.until(1);
      await untilNoneWaits(node);
      await notified(node, await send(bob, group, `hello @${ana.username}`));
      await device.until(2);
      await untilNoneWaits(node);
      await notified(node, await reply(bob, group, own.id, 'an answer'));
      const pushes = await device.until(3);
      expect(pushes.map(({ notification: { title, body } }) => [title, body])).toEqual([
        ['Picnic', `${bob.username}: hello`],
        ['Picnic', `${bob.username}: hello @${ana.username}`],
        ['Picnic', `${bob.username}: an answer`],
      ]);
      expect(new Set(pushes.map(({ notification }) => notification.tag)).size).toBe(1);
      expect(urgencies()).toEqual(['normal', 'high', 'high']);
      expect(pushes.at(-1).app_badge).toBe(3);
    });

    itOnce('is one push for many messages, and no push for the sender', async () => {
      const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
      const [phone, laptop, bobs] = [
        await registerDevice(ana, service),
        await registerDevice(ana, service),
        await registerDevice(bob, service),
      ];
      const conversationId = await openDirect(bob, ana);
      await attend(ana, true);
      for (const text of ['one', 'two', 'three']) await notified(node, await send(bob, conversationId, text));
      expect(await node.deps.database.db.pushJob.count()).toBe(2);
      await untilAllWait(node);
      await attend(ana, false);
      await makeDue(node);
      for (const device of [phone, laptop]) expect((await device.until())[0].notification.body).toBe('three');
      await untilNoneWaits(node);
      expect([phone, laptop, bobs].map((device) => device.received().length)).toEqual([1, 1, 0]);
      // Nobody can tell from the topics that two devices belong to the same conversation.
      expect(new Set([phone, laptop].map((device) => device.received()[0].notification.tag)).size).toBe(2);
    });

    itOnce('does not lose a message that arrives while a push is being sent', async () => {
      const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
      const device = await registerDevice(ana, service);
      const conversationId = await openDirect(bob, ana);
      let accept = () => {};
      const accepted = new Promise<void>((resolve) => {
        accept = resolve;
      });
      let isSending = false;
      service.answer(async ({ path }) => {
        if (path !== device.path) return { status: 201 };
        isSending = true;
        await accepted;
        return { status: 201 };
      });
      await notified(node, await send(bob, conversationId, 'first'));
      await eventually('the push is being sent', () => isSending);
      await notified(node, await send(bob, conversationId, 'second'));
      accept();
      const pushes = await device.until(2);
      expect(pushes.map(({ notification }) => notification.body)).toEqual(['first', 'second']);
      await untilNoneWaits(node);
    });

    itOnce('reveals nothing to the push service', async () => {
      const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
      const device = await registerDevice(ana, service);
      const group = await createGroup(bob, [ana], { title: 'Top secret' });
      for (const text of ['x', 'the password is swordfish '.repeat(40)]) {
        await notified(node, await send(bob, group, text));
        await untilNoneWaits(node);
      }
      const pushes = service.to(device.path);
      expect(pushes).toHaveLength(2);
      expect(new Set(pushes.map(({ body }) => body.length))).toEqual(new Set([2_048]));
      for (const { headers, body } of pushes) {
        const sent = `${JSON.stringify(headers)} ${body.toString('latin1')}`;
        for (const secret of ['swordfish', 'Top secret', bob.username, ana.username, group, bob.id, ana.id]) {
          expect(sent).not.toContain(secret);
        }
      }
      // Longer texts are cut, so that they fit.
      expect(device.received()[1].notification.body).toMatch(/^\w+: the password is swordfish .*…$/);
    });

    /** Registers a device of a gateway. Returns its push key, and what the gateway has received for it. */
    async function registerAtGateway(person: Person) {
      const pushKey = `token of ${person.username}`;
      const gateway = { appId: 'com.example.chat', pushKey };
      service.answer(() => ({ status: 200, body: '{"rejected":[]}' }));
      const { pushSubscription } = await attempt(person, 'registerPush', { gateway }, 'pushSubscription { kind }');
      expect(pushSubscription).toEqual({ kind: 'GATEWAY' });
      const received = (): Json[] =>
        service
          .to('/_matrix/push/v1/notify')
          .map(({ body }) => JSON.parse(String(body)).notification)
          .filter(({ devices }) => devices[0].pushkey === pushKey);
      return { pushKey, received };
    }

    itOnce('are only ids at a push gateway', async () => {
      const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
      const { pushKey, received } = await registerAtGateway(ana);
      const conversationId = await openDirect(bob, ana);
      const message = await send(bob, conversationId, 'a secret');
      await notified(node, message);
      await eventually('a push', () => received().length === 1);
      expect(received()[0]).toMatchObject({
        event_id: message.id,
        room_id: conversationId,
        counts: { unread: 1 },
        prio: 'high',
      });
      expect(JSON.stringify(received())).not.toMatch(/secret|bob/);
      await untilNoneWaits(node);
      service.answer(() => ({ status: 200, body: JSON.stringify({ rejected: [pushKey] }) }));
      await notified(node, await send(bob, conversationId, 'another'));
      await eventually('the device is removed', async () => (await devicesOf(ana)).length === 0);
    });

    it('are only the number of unread messages at a push gateway when the user reads elsewhere', async () => {
      const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
      const { pushKey, received } = await registerAtGateway(ana);
      const conversationId = await openDirect(bob, ana);
      const first = await send(bob, conversationId, 'one');
      await notified(node, first);
      const second = await send(bob, conversationId, 'two');
      await notified(node, second);
      await eventually('both messages are counted', () => received().at(-1)?.counts.unread === 2);
      await untilNoneWaits(node);
      await readTo(ana, conversationId, first.seq);
      await eventually('the number', () => received().at(-1)?.counts.unread === 1);
      const devices = [expect.objectContaining({ pushkey: pushKey })];
      expect(received().at(-1)).toEqual({ counts: { unread: 1 }, prio: 'low', devices });

      // A failed attempt is repeated.
      const { sql } = node.deps.database;
      const jobs = () => sql.query(Prisma.sql`SELECT id FROM push_badge_jobs WHERE user_id = ${rowId(ana.id)}::uuid`);
      await eventually('the number is right', async () => (await jobs()).length === 0);
      service.answer(() => ({ status: 503 }));
      const before = received().length;
      await readTo(ana, conversationId, second.seq);
      await eventually('an attempt', () => received().length > before);
      service.answer(() => ({ status: 200, body: '{"rejected":[]}' }));
      await eventually('it is repeated', async () => {
        await sql.query(Prisma.sql`
          UPDATE push_badge_jobs SET due_at = clock_timestamp() WHERE user_id = ${rowId(ana.id)}::uuid`);
        return (await jobs()).length === 0;
      });
      expect(received().at(-1)).toEqual({ counts: { unread: 0 }, prio: 'low', devices });
      // What was read on the device itself, or has been sent already, is not sent again.
      const count = received().length;
      await readTo(ana, conversationId, second.seq);
      await notified(node, await send(ana, conversationId, 'three'));
      expect(await jobs()).toEqual([]);
      expect(received()).toHaveLength(count);
    });

    type Scene = { ana: Person; bob: Person; conversationId: string; ids: string[] };
    const changes: [string, number[], ((scene: Scene) => Promise<unknown>)[]][] = [
      [
        'unread messages are deleted',
        [1, 0],
        [0, 1].map(
          (n) =>
            ({ bob, ids }: Scene) =>
              remove(bob, ids[n] ?? ''),
        ),
      ],
      [
        'the user mutes a conversation, and ends it',
        [0, 2],
        ['2999-01-01T00:00:00Z', null].map(
          (until) =>
            ({ ana, conversationId }: Scene) =>
              attempt(ana, 'muteConversation', { conversationId, until }),
        ),
      ],
      [
        'the user leaves a conversation',
        [0],
        [({ ana, conversationId }) => attempt(ana, 'leaveConversation', { conversationId })],
      ],
      [
        'the user is removed from a conversation',
        [0],
        [({ ana, bob, conversationId }) => attempt(bob, 'removeMember', { conversationId, userId: ana.id })],
      ],
    ];
    itOnce.each(changes)(
      'are the number of unread messages at a push gateway when %s',
      async (_what, numbers, acts) => {
        const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
        const { pushKey, received } = await registerAtGateway(ana);
        const conversationId = await createGroup(bob, [ana]);
        const ids: string[] = [];
        for (const text of ['one', 'two']) {
          const message = await send(bob, conversationId, text);
          ids.push(message.id);
          await notified(node, message);
          await eventually('the message is counted', () => received().at(-1)?.counts.unread === ids.length);
          await untilNoneWaits(node);
        }
        for (const [index, act] of acts.entries()) {
          expect(typeof (await act({ ana, bob, conversationId, ids }))).not.toBe('string');
          await notified(node);
          const unread = numbers[index];
          await eventually(`the number is ${unread}`, () => received().at(-1)?.counts.unread === unread);
          const devices = [expect.objectContaining({ pushkey: pushKey })];
          expect(received().at(-1)).toEqual({ counts: { unread }, prio: 'low', devices });
          // So that the next number is not the result of this comparison.
          const userId = rowId(ana.id);
          const jobs = () => node.deps.database.db.pushBadgeJob.count({ where: { userId } });
          await eventually('the comparison has ended', async () => (await jobs()) === 0);
        }
        expect(received()).toHaveLength(2 + numbers.length);
      },
    );
  });

  describe('settings', () => {
    itOnce.each([
      ['FULL', 'Picnic', (bob: Person) => `${bob.username}: the secret`],
      ['SENDER', 'Picnic', (bob: Person) => `${bob.username}: New message`],
      ['NOTHING', 'New message', () => undefined],
    ] as const)('show as much as the user has chosen: %s', async (pushPreview, title, bodyBy) => {
      const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
      const device = await registerDevice(ana, service);
      await attempt(ana, 'updateNotificationSettings', { pushPreview });
      const group = await createGroup(bob, [ana], { title: 'Picnic' });
      await notified(node, await send(bob, group, 'the secret'));
      const [push] = await device.until();
      expect([push.notification.title, push.notification.body]).toEqual([title, bodyBy(bob)]);
      if (pushPreview === 'NOTHING') expect(JSON.stringify(push)).not.toMatch(/bob|ana|Picnic|secret/);
      await untilNoneWaits(node);
    });

    /** Whether a message and a mention are pushed, by the level of the conversation, the default level and mute. */
    const table: [string | null, string, boolean, 'nothing' | 'mentions' | 'everything'][] = [
      [null, 'ALL', false, 'everything'],
      [null, 'MENTIONS', false, 'mentions'],
      [null, 'NONE', false, 'nothing'],
      ['ALL', 'NONE', false, 'everything'],
      ['MENTIONS', 'ALL', false, 'mentions'],
      ['NONE', 'ALL', false, 'nothing'],
      ['ALL', 'ALL', true, 'nothing'],
      ['MENTIONS', 'ALL', true, 'nothing'],
    ];
    itOnce.each(table)(
      'decide what is pushed: level %s, by default %s, muted: %s',
      async (level, defaultLevel, muted, what) => {
        const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
        const device = await registerDevice(ana, service);
        await attempt(ana, 'updateNotificationSettings', { defaultLevel });
        const conversationId = await createGroup(bob, [ana]);
        if (level !== null) await attempt(ana, 'setNotificationLevel', { conversationId, level });
        if (muted) await attempt(ana, 'muteConversation', { conversationId, until: '2999-01-01T00:00:00Z' });
        const own = await send(ana, conversationId, 'mine');
        await notified(node, await send(bob, conversationId, 'message'));
        await untilNoneWaits(node);
        await notified(node, await send(bob, conversationId, `mention of @${ana.username}`));
        await untilNoneWaits(node);
        await notified(node, await reply(bob, conversationId, own.id, 'reply'));
        await untilNoneWaits(node);
        const kinds = device.received().map(({ notification }) => /: (\w+)/.exec(notification.body)?.[1]);
        const expected = { nothing: [], mentions: ['mention', 'reply'], everything: ['message', 'mention', 'reply'] };
        expect(kinds).toEqual(expected[what]);
      },
    );

    it('are applied to a mention that an edit adds', async () => {
      const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
      const device = await registerDevice(ana, service);
      await attempt(ana, 'updateNotificationSettings', { defaultLevel: 'MENTIONS' });
      const conversationId = await createGroup(bob, [ana]);
      const message = await send(bob, conversationId, 'hello');
      await notified(node, message);
      expect(device.received()).toEqual([]);
      await edit(bob, message.id, `hello @${ana.username}`);
      expect((await device.until())[0].notification.body).toContain(`hello @${ana.username}`);
      await untilNoneWaits(node);
      // A further edit does not notify again.
      await edit(bob, message.id, `hello again @${ana.username}`);
      await notified(node);
      await untilNoneWaits(node);
      expect(device.received()).toHaveLength(1);
    });

    itOnce.each([
      ['setNotificationLevel', { level: 'NONE' }],
      ['muteConversation', { until: '2999-01-01T00:00:00Z' }],
    ])('keep an edit that adds a mention from notifying: %s', async (mutation, input) => {
      const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
      const device = await registerDevice(ana, service);
      const conversationId = await createGroup(bob, [ana]);
      await attempt(ana, mutation, { conversationId, ...input });
      const message = await send(bob, conversationId, 'hello');
      await edit(bob, message.id, `hello @${ana.username}`);
      await notified(node, message);
      expect(await node.deps.database.db.pushJob.count()).toBe(0);
      expect(await node.deps.database.db.pushRecord.count({ where: { userId: rowId(ana.id) } })).toBe(0);
      expect(device.received()).toEqual([]);
    });

    it('leave muted conversations out of the number of unread messages', async () => {
      const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
      const device = await registerDevice(ana, service);
      const [muted, other] = [await createGroup(bob, [ana]), await createGroup(bob, [ana])];
      await attempt(ana, 'muteConversation', { conversationId: muted, until: '2999-01-01T00:00:00Z' });
      for (const text of ['one', 'two']) await send(bob, muted, text);
      await notified(node, await send(bob, other, 'three'));
      expect((await device.until())[0].app_badge).toBe(1);
      await untilNoneWaits(node);
    });
  });

  describe('while the user is looking at a device', () => {
    it('pushes wait, and come if they have not read the message', async () => {
      const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
      const device = await registerDevice(ana, service);
      const conversationId = await openDirect(bob, ana);
      // Reported to one node, known to the other.
      await attend(ana.at(other.url), true);
      const waiting = () =>
        node.deps.database.db.pushJob.findFirst({ where: { dueAt: { gt: new Date(Date.now() + 3_000_000) } } });
      await notified(node, await send(bob, conversationId, 'hello'));
      await eventually('the push waits', async () => (await waiting()) !== null);
      expect(device.received()).toEqual([]);
      // The delay has passed. The user is still looking, elsewhere.
      await makeDue(node);
      await device.until();
      await untilNoneWaits(node);
    });

    itOnce('pushes come at once after they have looked away', async () => {
      const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
      const device = await registerDevice(ana, service);
      await attend(ana, true);
      await attend(ana, false);
      await notified(node, await send(bob, await openDirect(bob, ana), 'hello'));
      await device.until();
    });
  });

  describe('a push is dropped if, before it is due,', () => {
    // The last one is what is recorded if the device was removed before.
    type Case = [string, DropReason | undefined, (scene: Scene) => Promise<unknown>, ('DEVICE_REMOVED' | null)?];
    interface Scene {
      ana: Person;
      bob: Person;
      conversationId: string;
      message: { id: string; seq: number };
    }
    const admin = async () => {
      const chief = await register(node.url, 'admin');
      await node.deps.database.db.user.update({ where: { id: rowId(chief.id) }, data: { serviceRole: 'ADMIN' } });
      return chief;
    };
    const cases: Case[] = [
      ['the message was read', 'READ', ({ ana, conversationId, message }) => readTo(ana, conversationId, message.seq)],
      ['the message was deleted', 'DELETED', ({ bob, message }) => remove(bob, message.id)],
      ['the user has left', 'LEFT', ({ ana, conversationId }) => attempt(ana, 'leaveConversation', { conversationId })],
      [
        'the user was removed',
        'LEFT',
        ({ ana, bob, conversationId }) => attempt(bob, 'removeMember', { conversationId, userId: ana.id }),
      ],
      ['the user has blocked the sender', 'BLOCKED', ({ ana, bob }) => attempt(ana, 'blockUser', { userId: bob.id })],
      ['the sender has blocked the user', 'BLOCKED', ({ ana, bob }) => attempt(bob, 'blockUser', { userId: ana.id })],
      [
        'the user has muted the conversation',
        'MUTED',
        ({ ana, conversationId }) =>
          attempt(ana, 'muteConversation', { conversationId, until: '2999-01-01T00:00:00Z' }),
      ],
      [
        'the user wants to be notified of nothing in it',
        'LEVEL',
        ({ ana, conversationId }) => attempt(ana, 'setNotificationLevel', { conversationId, level: 'NONE' }),
      ],
      [
        'the user wants to be notified of mentions only',
        'LEVEL',
        ({ ana }) => attempt(ana, 'updateNotificationSettings', { defaultLevel: 'MENTIONS' }),
      ],
      [
        'the user does not want to be disturbed',
        'QUIET',
        ({ ana }) => attempt(ana, 'updateNotificationSettings', { doNotDisturbUntil: '2999-01-01T00:00:00Z' }),
      ],
      [
        'the quiet hours of the user have begun',
        'QUIET',
        ({ ana }) => attempt(ana, 'updateNotificationSettings', { quietHours: hoursAround(0) }),
      ],
      [
        'the user has changed the password on another device',
        undefined,
        async ({ ana }) => {
          const signIn = 'mutation ($input: LoginInput!) { login(input: $input) { tokens { accessToken } } }';
          const credentials = { usernameOrEmail: ana.username, password: ana.password };
          const { accessToken } = (await ask(node.url, signIn, { input: credentials })).login.tokens;
          const change = 'mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { viewer { id } } }';
          const input = { currentPassword: ana.password, newPassword: 'another password' };
          return ask(node.url, change, { input }, accessToken);
        },
      ],
      ['the user has signed out', undefined, ({ ana }) => attempt(ana, 'logout', {})],
      [
        'the user was suspended',
        undefined,
        async ({ ana }) => attempt(await admin(), 'suspendUser', { userId: ana.id }),
      ],
      [
        'the account was deleted',
        undefined,
        ({ ana }) => attempt(ana, 'deleteAccount', { password: ana.password }),
        null,
      ],
    ];
    itOnce.each(cases)('%s', async (_what, reason, act, removal = 'DEVICE_REMOVED') => {
      const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
      const device = await registerDevice(ana, service);
      const conversationId = await createGroup(bob, [ana]);
      await attend(ana, true);
      const message = await send(bob, conversationId, 'hello');
      await notified(node, message);
      await untilAllWait(node);
      expect(typeof (await act({ ana, bob, conversationId, message }))).not.toBe('string');
      const before = reason && droppedBy(reason);
      await makeDue(node);
      await untilNoneWaits(node);
      expect(device.received()).toEqual([]);
      const recorded = await node.deps.database.db.pushRecord.findMany({ where: { userId: rowId(ana.id) } });
      expect(recorded.map(({ result }) => result)).toEqual(removal === null ? [] : [reason ?? removal]);
      if (reason) expect(droppedBy(reason)).toBe((before ?? 0) + 1);
      // The subscription ended together with its session.
      else
        expect(
          await node.deps.database.db.pushSubscription.count({ where: { endpoint: device.input.web.endpoint } }),
        ).toBe(0);
    });

    itOnce('other hours are quiet: it is sent', async () => {
      const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
      const device = await registerDevice(ana, service);
      await attempt(ana, 'updateNotificationSettings', { quietHours: hoursAround(6) });
      await notified(node, await send(bob, await openDirect(bob, ana), 'hello'));
      await device.until();
    });

    it('part of the messages was deleted: it is about the others', async () => {
      const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
      const device = await registerDevice(ana, service);
      const conversationId = await openDirect(bob, ana);
      await attend(ana, true);
      const [first, second] = [await send(bob, conversationId, 'first'), await send(bob, conversationId, 'second')];
      await notified(node, first, second);
      await untilAllWait(node);
      await remove(bob, second.id);
      await attend(ana, false);
      await makeDue(node);
      expect((await device.until())[0]).toMatchObject({ notification: { body: 'first' }, app_badge: 1 });
      await untilNoneWaits(node);
    });
  });

  describe('failures', () => {
    async function start() {
      const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
      const device = await registerDevice(ana, service);
      const conversationId = await openDirect(bob, ana);
      const answers: { status: number; headers?: Record<string, string> }[] = [];
      service.answer(({ path }) => (path === device.path && answers.shift()) || { status: 201 });
      return { ana, bob, device, conversationId, answers };
    }

    itOnce.each([404, 410])('remove a device that its push service no longer accepts (%d)', async (status) => {
      const { ana, bob, conversationId, answers } = await start();
      answers.push({ status });
      await notified(node, await send(bob, conversationId, 'hello'));
      await eventually('the device is removed', async () => (await devicesOf(ana)).length === 0);
      await untilNoneWaits(node);
    });

    it.each([429, 503])('pause the device for as long as the push service asks (%d)', async (status) => {
      const { ana, bob, device, conversationId, answers } = await start();
      answers.push({ status, headers: { 'retry-after': '600' } });
      const db = node.deps.database.db;
      await notified(node, await send(bob, conversationId, 'hello'));
      const isLater = (at: Date | undefined) => (at?.getTime() ?? 0) > Date.now() + 500_000;
      await eventually('the push waits', async () => isLater((await db.pushJob.findFirst())?.dueAt));
      // A push about another conversation waits as well.
      const group = await createGroup(bob, [ana]);
      await notified(node, await send(bob, group, 'elsewhere'));
      await eventually(
        'both wait',
        async () => (await db.pushJob.findMany()).filter(({ dueAt }) => isLater(dueAt)).length === 2,
      );
      expect(device.received()).toHaveLength(1);
      await makeDue(node);
      await device.until(3);
      await untilNoneWaits(node);
    });

    itOnce('send a smaller push if the first one is too large', async () => {
      const { bob, device, conversationId, answers } = await start();
      answers.push({ status: 413 });
      await notified(node, await send(bob, conversationId, 'مرحبا '.repeat(300)));
      await device.until(2);
      expect(service.to(device.path).map(({ body }) => body.length)).toEqual([2_048, 1_024]);
      await untilNoneWaits(node);
    });

    itOnce('drop a push that is rejected, and keep the device', async () => {
      const { ana, bob, conversationId, answers } = await start();
      answers.push({ status: 403 });
      const before = droppedBy('REJECTED');
      await notified(node, await send(bob, conversationId, 'hello'));
      await untilNoneWaits(node);
      expect(droppedBy('REJECTED')).toBe(before + 1);
      expect(await devicesOf(ana)).toHaveLength(1);
    });

    itOnce('drop a push after too many attempts, but not the next one', async () => {
      const { bob, device, conversationId } = await start();
      const db = node.deps.database.db;
      const before = droppedBy('EXPIRED');
      service.answer(({ path }) => ({ status: path === device.path ? 500 : 201 }));
      await notified(node, await send(bob, conversationId, 'hello'));
      await eventually('the push failed', async () => (await db.pushJob.findFirst())?.tries === 1);
      await db.pushJob.updateMany({ data: { tries: 10 } });
      await makeDue(node);
      await untilNoneWaits(node);
      expect(droppedBy('EXPIRED')).toBe(before + 1);
      service.answer(() => ({ status: 201 }));
      await db.pushSubscription.updateMany({ data: { pausedUntil: new Date(0) } });
      const count = device.received().length;
      await notified(node, await send(bob, conversationId, 'again'));
      expect((await device.until(count + 1)).at(-1).notification.body).toBe('again');
    });
  });
});

function pickKeys() {
  const { p256dh, auth } = makeBrowserKeys();
  return { p256dh, auth };
}
