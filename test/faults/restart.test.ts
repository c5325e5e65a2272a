import { beforeAll, describe, expect, it } from 'vitest';
import { type Person, register } from '../support/client.js';
import {
  type Fleet,
  figure,
  form,
  hasAll,
  lacking,
  makeFleet,
  makeSender,
  type NodeProcess,
  ownServers,
  range,
  type Subscriber,
  subscribe,
  subscribeOverSse,
  within,
} from '../support/fleet.js';
import { serversLacking } from '../support/servers.js';
import { createGroup } from '../support/talk.js';

const DRAIN_SECONDS = form(1, 3);
// More than a busy machine needs to complete the sends in progress.
const SHUTDOWN_SECONDS = 20;

/** The maximum number of `times` within one second. */
function peakPerSecond(times: number[]): number {
  const sorted = times.toSorted((x, y) => x - y);
  let peak = 0;
  for (let first = 0, last = 0; last < sorted.length; last += 1) {
    while ((sorted[last] as number) - (sorted[first] as number) >= 1_000) first += 1;
    peak = Math.max(peak, last - first + 1);
  }
  return peak;
}

describe.skipIf(serversLacking !== undefined)('nodes that are restarted one after the other', () => {
  let fleet: Fleet;
  let a: NodeProcess;
  let b: NodeProcess;
  beforeAll(async () => {
    fleet = await makeFleet(await ownServers(), {
      DRAIN_TIME: `${DRAIN_SECONDS}s`,
      SHUTDOWN_TIMEOUT: `${SHUTDOWN_SECONDS}s`,
    });
    [a, b] = await Promise.all([fleet.add(), fleet.add()]);
  });

  /** Like a load balancer: tries one node after the other until one responds. */
  function balanced(first: number): () => string {
    let turn = first;
    return () => {
      turn += 1;
      return (turn % 2 ? a : b).url;
    };
  }

  it('lose no events, over WebSocket and SSE: all clients resume at the other node', {
    timeout: 300_000,
  }, async () => {
    const people: Person[] = [];
    for (const index of range(1, form(6, 20))) people.push(await register(index % 2 ? a.url : b.url));
    const [alice, ...members] = people as [Person, ...Person[]];
    const group = await createGroup(alice, members);
    const who = (index: number) => people[index % people.length] as Person;
    const sockets: Subscriber[] = [];
    // Connects a few clients at a time.
    for (const first of range(0, form(60, 1_000) - 1).filter((index) => index % 50 === 0)) {
      const some = range(first, Math.min(first + 50, form(60, 1_000)) - 1).map((index) =>
        // Some subscribe to one conversation, some to all.
        subscribe(who(index), balanced(index), index % 3 ? { conversationId: group } : {}),
      );
      await within(30_000, 'they are live', () => some.every(({ caughtUp }) => caughtUp > 0));
      sockets.push(...some);
    }
    const streams = range(1, form(4, 20)).map((index) => subscribeOverSse(who(index), balanced(index)));
    await within(10_000, 'SSE is live', () => streams.every(({ caughtUp }) => caughtUp > 0));
    const everybody = [...sockets, ...streams];

    const sender = makeSender(alice, group, [a.url, b.url]);
    const stop = sender.steadily(form(8, 5));
    await within(20_000, 'it flows', () => everybody.every(({ events }) => events.length > 0));
    const restarts: { drainMs: number; reconnects: number; peakPerSecond: number; allBackAfterMs: number }[] = [];
    for (const node of [a, b]) {
      const held = everybody.map(({ connections }) => connections);
      const began = Date.now();
      expect(await node.stop(), node.output()).toBe(0);
      const drainMs = Date.now() - began;
      // No connection had to be terminated at the end of SHUTDOWN_TIMEOUT.
      expect(drainMs).toBeLessThan(SHUTDOWN_SECONDS * 1_000);
      const mark = [await sender.send('one node is gone')];
      await within(
        30_000,
        () => `all are back, ${everybody.filter((each) => !hasAll(each, mark)).length} are not`,
        () => everybody.every((each) => hasAll(each, mark)),
      );
      const allBackAfterMs = Date.now() - began;
      const times = everybody.flatMap(({ connectedAt }, index) => connectedAt.slice(held[index]));
      restarts.push({ drainMs, reconnects: times.length, peakPerSecond: peakPerSecond(times), allBackAfterMs });
      await node.start();
      const flowed = sender.answered.length;
      await within(20_000, 'it flows over both', () => sender.answered.length > flowed + 5);
    }
    await stop();
    const count = sender.answered.length;
    const whole = range(2, count + 1);
    for (const each of everybody) {
      await within(20_000, lacking(each, sender.answered), () => hasAll(each, sender.answered));
      expect(each.changes(group)).toEqual(whole);
      expect(each.late).toEqual([]);
      expect(each.codes.filter((code) => code !== 'UNAVAILABLE')).toEqual([]);
      // The clients of the first node moved to the second one, and then all of them to the first one.
      expect(each.connections).toBeGreaterThan(1);
    }
    for (const { closeCodes, connections } of sockets) {
      // No connection was terminated: 1006 only stands for rejected attempts.
      expect(closeCodes.filter((code) => code !== 1006)).toEqual(Array(connections - 1).fill(1001));
    }
    figure('rolling restart', {
      sockets: sockets.length,
      sse: streams.length,
      messages: count,
      restarts,
      refusedAttempts: sockets.flatMap(({ closeCodes }) => closeCodes).filter((code) => code === 1006).length,
      repeatsPerClient: everybody.reduce((sum, { repeats }) => sum + repeats, 0) / everybody.length,
      sends: Object.fromEntries(sender.codes),
    });
  });
});
