import { randomUUID } from 'node:crypto';
import { pushWorker } from '../../src/domain/push/push.worker.js';
import type { RunningNode } from '../../src/server/start.js';
import { eventually, type Json, type Person } from './client.js';
import { makeBrowserKeys, type PushService } from './push-service.js';
import { attempt } from './talk.js';

/** A browser that is registered for pushes. */
export interface Device {
  /** The id of its subscription. */
  id: string;
  /** The path of its endpoint at the push service. */
  path: string;
  input: { web: { endpoint: string; p256dh: string; auth: string } };
  /** The pushes that it has received, decrypted. */
  received(): Json[];
  /** Resolves with its pushes when there are `count` of them. */
  until(count?: number): Promise<Json[]>;
}

/** Registers a browser of a user at a push service. */
export async function registerDevice(person: Person, service: PushService): Promise<Device> {
  const path = `/${randomUUID()}`;
  const keys = makeBrowserKeys();
  const input = { web: { endpoint: `${service.origin}${path}`, p256dh: keys.p256dh, auth: keys.auth } };
  const answer = await attempt(person, 'registerPush', input, 'pushSubscription { id }');
  if (typeof answer === 'string') throw new Error(answer);
  const received = () => service.to(path).map(({ body }) => JSON.parse(keys.decrypt(body)));
  return {
    id: answer.pushSubscription.id,
    path,
    input,
    received,
    async until(count = 1) {
      await eventually(`${count} pushes`, () => received().length >= count);
      return received();
    },
  };
}

/** Resolves when all pushes wait, because their users are looking at a device. */
export const untilAllWait = ({ deps }: RunningNode): Promise<void> =>
  eventually('all pushes wait', async () => {
    const [row] = await deps.database.db.$queryRaw<[{ soon: number }]>`
      SELECT count(*)::int AS soon FROM push_jobs
      WHERE due_at < clock_timestamp() + interval '1 minute' OR claimed_until > clock_timestamp()`;
    return row.soon === 0;
  });

/** Makes all waiting pushes due, as if the time of their pauses had passed. */
export async function makeDue({ deps }: RunningNode): Promise<void> {
  await deps.database.db.$executeRaw`UPDATE push_subscriptions SET paused_until = '-infinity'`;
  await deps.database.db.$executeRaw`
    UPDATE push_jobs SET due_at = clock_timestamp(), created_at = created_at - interval '2 hours' WHERE claimed_until < clock_timestamp()`;
  pushWorker.of(deps).wake();
}

/** Resolves when no push waits. */
export const untilNoneWaits = ({ deps }: RunningNode): Promise<void> =>
  eventually('no push waits', async () => (await deps.database.db.pushJob.count()) === 0);
