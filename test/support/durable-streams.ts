import { inject } from 'vitest';
import { decodeGlobalId } from '../../src/core/ids.js';
import type { RunningNode } from '../../src/server/start.js';
import { connectInTest, eventually, type Json, type Listening, listen, type Person } from './client.js';
import { atEnd } from './ending.js';
import { type LossyRedis, startLossyRedis } from './lossy-redis.js';
import { makePlace } from './place.js';

/** Returns a function that subscribes to a durable stream, and resolves when the stream has caught up. */
export const follower =
  (field: string, query: string) =>
  async (person: Person, url: string, after?: string): Promise<Listening> => {
    const stream = listen(connectInTest(url, person.token), query, { after }, field);
    await stream.until(({ type }) => type === 'CAUGHT_UP');
    return stream;
  };

/** The events with a change. */
export const changesOf = ({ events }: Listening): Json[] => events.filter(({ changeSeq }) => changeSeq !== null);

export const untilDelivered = (stream: Listening, count: number) =>
  eventually(`${count} changes are delivered`, () => changesOf(stream).length === count);

export const syncCursorOf = async (person: Person): Promise<string> =>
  (await person.ask('{ viewer { syncCursor } }')).viewer.syncCursor;

/** The database's id of an object. */
export const rowId = (globalId: string): string => decodeGlobalId(globalId, 'id').id;

/** Starts two nodes, of which the second one receives no wake-ups of changes from the first. */
export async function startWithLostWakeUps(
  env: Record<string, string> = {},
  more: Record<string, string> = {},
): Promise<{ node: RunningNode; deaf: RunningNode; lossy: LossyRedis }> {
  const place = await makePlace('postgresql');
  const { port } = new URL(inject('services')?.redisUrl ?? '');
  const lossy = await startLossyRedis(Number(port || 6379), (message) => message.includes(':changes\r\n'));
  atEnd(() => lossy.close());
  const node = await place.start(env);
  const deaf = await place.start({ ...env, ...more, REDIS_URL: lossy.url });
  await eventually('the nodes are connected', () => node.deps.bus.connected && deaf.deps.bus.connected);
  return { node, deaf, lossy };
}
