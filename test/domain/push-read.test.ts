import { beforeAll, describe, expect, it } from 'vitest';
import { notifier } from '../../src/domain/notifier/notifier.js';
import { reasonAgainst } from '../../src/domain/push/push.policy.js';
import { claimJobs, endJobs, findDue } from '../../src/domain/push/push.store.js';
import { Prisma } from '../../src/generated/prisma/client.js';
import type { RunningNode } from '../../src/server/start.js';
import { eventually, type Json, type Person, registerAll } from '../support/client.js';
import { type Device, makeDue, registerDevice, untilAllWait, untilNoneWaits } from '../support/devices.js';
import { rowId } from '../support/durable-streams.js';
import { atFileEnd } from '../support/ending.js';
import { notified } from '../support/notified.js';
import { inOneMode, makePlace, modes, startTwo } from '../support/place.js';
import { type PushService, startPushService } from '../support/push-service.js';
import { attempt, openDirect, send } from '../support/talk.js';

const TRACE = `query ($messageId: ID!) {
  notificationTrace(messageId: $messageId) { outcome reason pushes { outcome reason } }
}`;
const NOTIFY = '/_matrix/push/v1/notify';

/** The clock is controlled: pushes wait for an hour, until a test lets it pass (`makeDue`). */
describe.each(modes)('a message that its recipient reads on another device, in %s mode', (mode) => {
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
      PUSH_BADGE_DELAY: '1ms',
    });
  });

  interface Scene {
    ana: Person;
    bob: Person;
    conversationId: string;
    browser: Device;
    /** What the gateway has received for the phone. */
    phone(): Json[];
    read(seq: number): Promise<void>;
  }

  /** A user with a browser, a phone, and a device that she is looking at, on another node. */
  async function makeScene(): Promise<Scene> {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    service.answer(accept);
    const browser = await registerDevice(ana, service);
    const pushKey = `token of ${ana.username}`;
    await attempt(ana, 'registerPush', { gateway: { appId: 'com.example.chat', pushKey } });
    const conversationId = await openDirect(bob, ana);
    await attempt(ana.at(other.url), 'setAttention', { active: true }, 'viewer { id }');
    return {
      ana,
      bob,
      conversationId,
      browser,
      phone: () =>
        service
          .to(NOTIFY)
          .map(({ body }) => JSON.parse(String(body)).notification)
          .filter(({ devices }) => devices[0].pushkey === pushKey),
      async read(seq) {
        expect(await attempt(ana.at(other.url), 'markRead', { conversationId, seq })).toMatchObject({});
      },
    };
  }

  const accept = ({ path }: { path: string }) =>
    path === NOTIFY ? { status: 200, body: '{"rejected":[]}' } : { status: 201 };
  const traceOf = async ({ ana }: Scene, { id }: { id: string }) =>
    (await ana.ask(TRACE, { messageId: id })).notificationTrace;
  const unreadAt = (number: number) => ({ counts: { unread: number } });

  /** Expects that no device was sent anything, and that the reason is recorded for both. */
  async function expectNoPush(scene: Scene, message: { id: string }) {
    await untilNoneWaits(node);
    expect(scene.browser.received()).toEqual([]);
    expect(scene.phone()).toEqual([]);
    expect(await traceOf(scene, message)).toEqual({
      outcome: 'NOT_SENT',
      reason: 'READ',
      pushes: [1, 2].map(() => ({ outcome: 'NOT_SENT', reason: 'READ' })),
    });
  }

  it('is not pushed if it was read before the notifier has read it', async () => {
    const scene = await makeScene();
    // Another node, which does not exist, is the notifier.
    const claim = (by: string, until: string) =>
      node.deps.database.db.$executeRaw`
        UPDATE notifier_state SET claimed_by = ${by}, claimed_until = ${until}::text::timestamptz`;
    await Promise.all([node, other].map(({ deps }) => notifier.of(deps).sweep()));
    await claim('another node', 'infinity');
    const message = await send(scene.bob, scene.conversationId, 'hello');
    await scene.read(message.seq);
    expect(await node.deps.database.db.pushJob.count()).toBe(0);
    await claim('another node', '-infinity');
    await notified(node, message);
    await expectNoPush(scene, message);
  });

  itOnce('is not pushed if it was read while the push waits', async () => {
    const scene = await makeScene();
    const message = await send(scene.bob, scene.conversationId, 'hello');
    await notified(node, message);
    await untilAllWait(node);
    await scene.read(message.seq);
    await makeDue(node);
    await expectNoPush(scene, message);
  });

  itOnce('is not pushed if it was read when the push was due, and a node has claimed it', async () => {
    const scene = await makeScene();
    const { sql } = node.deps.database;
    const message = await send(scene.bob, scene.conversationId, 'hello');
    await notified(node, message);
    await untilAllWait(node);
    const jobs = await sql.transaction(async (tx) => {
      await tx.query(Prisma.sql`SELECT FROM push_jobs FOR UPDATE`);
      await tx.query(Prisma.sql`
        UPDATE push_jobs SET due_at = clock_timestamp() - interval '1 second', created_at = created_at - interval '2 hours'`);
      // In the same transaction, so that no worker claims them.
      return claimJobs(tx, 10, 60_000);
    });
    expect(jobs).toHaveLength(2);
    await scene.read(message.seq);
    const due = await findDue(sql, jobs, node.deps.config);
    const ends = jobs.map(({ ageMs: _age, ...job }, index) => {
      const push = due[index];
      if (!push) throw new Error('the push is gone');
      const reason = reasonAgainst({ ...push, hasMessage: push.messageId !== null, isQuiet: false });
      return { ...job, end: 'DONE' as const, result: reason ?? ('SENT' as const), push };
    });
    await endJobs(sql, ends);
    await expectNoPush(scene, message);
  });

  itOnce(
    'was pushed if it is read while the push is being sent, and the number on the phone is corrected',
    async () => {
      const scene = await makeScene();
      const message = await send(scene.bob, scene.conversationId, 'hello');
      await notified(node, message);
      await untilAllWait(node);
      let release = () => {};
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      let sending = 0;
      service.answer(async (push) => {
        sending += 1;
        await released;
        return accept(push);
      });
      await makeDue(node);
      await eventually('both pushes are being sent', () => sending === 2);
      await scene.read(message.seq);
      release();
      await expectCorrected(scene, message);
    },
  );

  it('was pushed if it is read afterwards, and the number on the phone is corrected', async () => {
    const scene = await makeScene();
    const message = await send(scene.bob, scene.conversationId, 'hello');
    await notified(node, message);
    await untilAllWait(node);
    await makeDue(node);
    await untilNoneWaits(node);
    expect(scene.phone()).toMatchObject([{ event_id: message.id, ...unreadAt(1) }]);
    await scene.read(message.seq);
    await expectCorrected(scene, message);
  });

  /** Expects that each device was sent one push, and then the phone the number of unread messages alone. */
  async function expectCorrected(scene: Scene, message: { id: string }) {
    await untilNoneWaits(node);
    await notified(node);
    await eventually('the number', () => scene.phone().length >= 2);
    await eventually(
      'the number is right',
      async () => (await node.deps.database.db.pushBadgeJob.count({ where: { userId: rowId(scene.ana.id) } })) === 0,
    );
    expect(scene.phone()).toMatchObject([{ event_id: message.id, ...unreadAt(1) }, unreadAt(0)]);
    expect(scene.phone()[1]).not.toHaveProperty('event_id');
    // Browsers must show a notification for each push, so that they are not sent the number alone.
    expect(scene.browser.received()).toMatchObject([{ messageId: message.id, app_badge: 1 }]);
    expect(await traceOf(scene, message)).toMatchObject({ outcome: 'SENT', reason: null });
  }

  it('is either pushed or recorded as read if both happen at the same time', async () => {
    const scene = await makeScene();
    for (let round = 1; round <= 3; round += 1) {
      const message = await send(scene.bob, scene.conversationId, `round ${round}`);
      await notified(node, message);
      await untilAllWait(node);
      await Promise.all(
        round % 2 === 0 ? [makeDue(node), scene.read(message.seq)] : [scene.read(message.seq), makeDue(node)],
      );
      await untilNoneWaits(node);
      const { outcome, reason, pushes } = await traceOf(scene, message);
      expect(pushes).toHaveLength(2);
      const sent = pushes.filter((push: Json) => push.outcome === 'SENT').length;
      const received = [scene.browser.received(), scene.phone()]
        .flat()
        .filter((push) => [push.messageId, push.event_id].includes(message.id));
      expect(received).toHaveLength(sent);
      for (const push of pushes) expect(['SENT null', 'NOT_SENT READ']).toContain(`${push.outcome} ${push.reason}`);
      expect([outcome, reason]).toEqual(sent > 0 ? ['SENT', null] : ['NOT_SENT', 'READ']);
    }
  });

  itOnce('is left out of a push about later messages', async () => {
    const scene = await makeScene();
    const first = await send(scene.bob, scene.conversationId, 'first');
    const second = await send(scene.bob, scene.conversationId, 'second');
    await notified(node, first, second);
    await untilAllWait(node);
    await scene.read(first.seq);
    await makeDue(node);
    await untilNoneWaits(node);
    expect(scene.browser.received()).toMatchObject([{ messageId: second.id, app_badge: 1 }]);
    expect(await traceOf(scene, first)).toMatchObject({ outcome: 'NOT_SENT', reason: 'READ' });
    expect(await traceOf(scene, second)).toMatchObject({ outcome: 'SENT', reason: null });
  });
});
