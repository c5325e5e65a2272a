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
  pause,
  range,
  subscribe,
  within,
} from '../support/fleet.js';
import { serversLacking } from '../support/servers.js';
import { query } from '../support/services.js';
import { createGroup, trySend } from '../support/talk.js';

/** What is stored of a person, in the order of seqs. */
const stored = (fleet: Fleet, { username }: Person) =>
  query<{ seq: number; text: string; client_message_id: string }>(
    fleet.env['DATABASE_URL'] ?? '',
    `SELECT seq, text, client_message_id FROM messages JOIN users ON users.id = sender_id
      WHERE username = '${username}' ORDER BY seq`,
  );

describe.skipIf(serversLacking !== undefined)('nodes that die, clients that are cut off', () => {
  let fleet: Fleet;
  let a: NodeProcess;
  let b: NodeProcess;
  beforeAll(async () => {
    fleet = await makeFleet(await ownServers());
    [a, b] = await Promise.all([fleet.add(), fleet.add()]);
  });

  /** Two people in a group. */
  async function makePlace() {
    const [alice, bob] = [await register(a.url, 'alice'), await register(b.url, 'bob')];
    return { alice, bob, group: await createGroup(alice, [bob]) };
  }

  it('stores every answered send once when a node is killed within them', { timeout: 120_000 }, async () => {
    const { alice, bob, group } = await makePlace();
    const count = form(150, 500);
    const sender = makeSender(alice, group, [a.url, b.url]);
    const subscriber = subscribe(bob, () => b.url);
    await within(5_000, 'the stream is live', () => subscriber.caughtUp > 0);
    const sends = range(1, count).map((index) => sender.send(`message ${index}`));
    await within(20_000, 'a third is answered', () => sender.answered.length > count / 3);
    await a.kill();
    await Promise.all(sends);
    await a.start();
    const rows = await stored(fleet, alice);
    expect(rows.map(({ seq }) => seq)).toEqual(range(1, count));
    expect(rows.map(({ text }) => text).sort()).toEqual(
      range(1, count)
        .map((index) => `message ${index}`)
        .sort(),
    );
    expect(new Map(sender.answered.map(({ seq, text }) => [seq, text]))).toEqual(
      new Map(rows.map(({ seq, text }) => [seq, text])),
    );
    const ms = await within(5_000, lacking(subscriber, sender.answered), () => hasAll(subscriber, sender.answered));
    expect(subscriber.changes(group)).toEqual(range(2, count + 1));
    const retried = sender.answered.filter(({ attempts }) => attempts > 1).length;
    expect(retried).toBeGreaterThan(0);
    figure('kill -9 of a node', { sends: count, retried, stored: rows.length, completeAfterMs: ms });
  });

  it('answers the same key 50 times at once with one message', { timeout: 60_000 }, async () => {
    const { alice, group } = await makePlace();
    const at = (node: NodeProcess): Person => alice.at(node.url);
    const began = Date.now();
    const answers = await Promise.all(
      range(1, 50).map((index) => trySend(at(index % 2 ? a : b), group, 'only once', 'the key')),
    );
    const ms = Date.now() - began;
    expect(answers.flatMap(({ errors }) => errors ?? [])).toEqual([]);
    expect(new Set(answers.map(({ data }) => JSON.stringify(data))).size).toBe(1);
    expect(await stored(fleet, alice)).toEqual([{ seq: 1, text: 'only once', client_message_id: 'the key' }]);
    const others = await Promise.all([a, b].map((node) => trySend(at(node), group, 'something else', 'the key')));
    expect(others.map(({ errors }) => errors?.[0]?.extensions.code)).toEqual(['CONFLICT', 'CONFLICT']);
    // The attempts that lost took no number.
    expect((await trySend(alice, group, 'next')).data.sendMessage.message.seq).toBe(2);
    figure('the same key 50 times', { rows: 1, ms });
  });

  it('brings a client that is cut off at random everything once and in order', { timeout: 120_000 }, async () => {
    const { alice, bob, group } = await makePlace();
    const cuts = form(12, 50);
    const urls = [a.url, b.url];
    const anywhere = () => urls[Math.floor(Math.random() * 2)] as string;
    const sender = makeSender(alice, group, urls);
    const one = subscribe(bob, anywhere, { conversationId: group });
    const all = subscribe(bob, anywhere);
    await within(5_000, 'both are live', () => one.caughtUp > 0 && all.caughtUp > 0);
    const stop = sender.steadily(form(50, 200));
    for (let cut = 0; cut < cuts; cut += 1) {
      await pause(Math.random() * form(300, 600));
      const [before, beforeAll] = [one.connections, all.connections];
      one.cut();
      all.cut();
      await within(5_000, 'both are back', () => one.connections > before && all.connections > beforeAll);
    }
    await stop();
    const count = sender.answered.length;
    for (const subscriber of [one, all]) {
      await within(5_000, lacking(subscriber, sender.answered), () => hasAll(subscriber, sender.answered));
      expect(subscriber.changes(group)).toEqual(range(2, count + 1));
      expect(subscriber.late).toEqual([]);
      expect(subscriber.codes).toEqual([]);
      expect(subscriber.connections).toBeGreaterThan(cuts);
    }
    figure('cut off at random', { cuts, messages: count, repeatsPerCut: (one.repeats + all.repeats) / (2 * cuts) });
  });
});
