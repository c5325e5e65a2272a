import pg from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import { idOf } from '../../src/core/ids.js';
import { connect, listen, type Person, register } from '../support/client.js';
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
import { PRESENCE, statusesOf, untilStatus } from '../support/presence.js';
import { serversLacking } from '../support/servers.js';
import { query } from '../support/services.js';
import { createGroup, openAnswered, REMOVE_MEMBER, trySend } from '../support/talk.js';

/** The stored messages of a user, ordered by seq. */
const stored = (fleet: Fleet, { username }: Person) =>
  query<{ seq: number; text: string; client_message_id: string }>(
    fleet.env['DATABASE_URL'] ?? '',
    `SELECT seq, text, client_message_id FROM messages JOIN users ON users.id = sender_id
      WHERE username = '${username}' ORDER BY seq`,
  );

describe.skipIf(serversLacking !== undefined)('nodes that crash, and clients that are disconnected', () => {
  let fleet: Fleet;
  let a: NodeProcess;
  let b: NodeProcess;
  beforeAll(async () => {
    fleet = await makeFleet(await ownServers());
    [a, b] = await Promise.all([fleet.add(), fleet.add()]);
  });

  /** Two users in a group. */
  async function makePlace() {
    const [alice, bob] = [await register(a.url, 'alice'), await register(b.url, 'bob')];
    return { alice, bob, group: await createGroup(alice, [bob]) };
  }

  it('make the users of a crashed node offline unless they are connected to another one, whatever its clock', async () => {
    const settings = { PRESENCE_INTERVAL: '500ms', PRESENCE_GRACE: '500ms' };
    // A node whose clock is five minutes off.
    const skewed = 'data:text/javascript,const%20now=Date.now;Date.now=()=>now()+300000';
    const [one, other, late] = await Promise.all([
      fleet.add(settings),
      fleet.add(settings),
      fleet.add({ ...settings, NODE_OPTIONS: `--import=${skewed}` }),
    ]);
    const [alice, bob, carol] = await Promise.all(
      ['alice', 'bob', 'carol'].map((name) => register(other?.url ?? '', name)),
    );
    if (!one || !other || !late || !alice || !bob || !carol) throw new Error('not there');
    for (const person of [bob, carol]) await openAnswered(alice, person);
    const clients = [other, late].map((node) => connect(node.url, alice.token));
    const streams = clients.map((client) => listen(client, PRESENCE, {}, 'presence'));
    const devices = [
      [one, bob],
      [one, carol],
      [late, carol],
    ] as const;
    for (const [node, person] of devices) {
      clients.push(connect(node.url, person.token, { lazy: false, onNonLazyError: () => {} }));
    }
    for (const stream of streams) {
      await untilStatus(stream, bob, 'ONLINE');
      await untilStatus(stream, carol, 'ONLINE');
    }
    const before = Date.now();
    await one.kill();
    for (const stream of streams) await untilStatus(stream, bob, 'OFFLINE');
    // Three intervals without heartbeats, and the time until the next check.
    const took = Date.now() - before;
    expect(took).toBeLessThan(form(20_000, 5_000));
    figure('a node is killed: its people are offline', { afterMs: took });
    for (const stream of streams) {
      const { presence } = stream.events.findLast(({ user }) => user.id === bob.id)?.user ?? {};
      expect(Math.abs(Date.now() - Date.parse(presence.lastSeenAt))).toBeLessThan(20_000);
      // None of their statuses changed in between.
      for (const person of [bob, carol]) {
        const said = statusesOf(stream, person);
        expect(said.filter((status, index) => status === said[index - 1])).toEqual([]);
        expect(said.filter((status) => status === 'ONLINE').length).toBe(1);
      }
      expect(statusesOf(stream, carol).at(-1)).toBe('ONLINE');
    }
    await Promise.all(clients.map((client) => client.dispose()));
    await Promise.all([other.kill(), late.kill()]);
  });

  it('store every acknowledged message once when a node is killed during sends', { timeout: 120_000 }, async () => {
    const { alice, bob, group } = await makePlace();
    const count = form(150, 500);
    const sender = makeSender(alice, group, [a.url, b.url]);
    const subscriber = subscribe(bob, () => b.url);
    await within(5_000, 'the stream is live', () => subscriber.caughtUp > 0);
    // A part at a time, because one transaction could store all of them before the node is killed.
    const left = range(1, count);
    const sendRest = async () => {
      for (let index = left.shift(); index !== undefined; index = left.shift()) await sender.send(`message ${index}`);
    };
    const sends = range(1, 30).map(sendRest);
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

  it('store one message for 50 concurrent sends with the same key', { timeout: 60_000 }, async () => {
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
    // The other attempts were not assigned numbers.
    expect((await trySend(alice, group, 'next')).data.sendMessage.message.seq).toBe(2);
    figure('the same key 50 times', { rows: 1, ms });
  });

  it('store no message of a member who is removed while their sends wait for the lock', {
    timeout: 60_000,
  }, async () => {
    const { alice, bob, group } = await makePlace();
    const url = fleet.env['DATABASE_URL'] ?? '';
    const id = idOf('Conversation', group, '');
    const count = form(60, 200);
    /** Sends half of `some` to each node, and returns the responses. */
    const sendAll = (some: number[]) =>
      some.map((index) => trySend(bob.at((index % 2 ? a : b).url), group, `late ${index}`, `key ${index}`));
    const other = new pg.Client({ connectionString: url });
    await other.connect();
    await other.query('BEGIN');
    await other.query(`SELECT FROM conversations WHERE id = '${id}' FOR UPDATE`);
    const answers = sendAll(range(1, count / 2));
    await within(10_000, 'a send of each node waits for the lock', async () => {
      const waiting = await query(
        url,
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      return waiting.length === 2;
    });
    const removal = alice.at(a.url).ask(REMOVE_MEMBER, { input: { conversationId: group, userId: bob.id } });
    answers.push(...sendAll(range(count / 2 + 1, count)));
    // Later requests get responses, so that the sends have arrived.
    for (const node of [a, b]) await alice.at(node.url).ask('{ viewer { id } }');
    expect(await stored(fleet, bob)).toEqual([]);
    await other.query('COMMIT');
    await other.end();
    await removal;
    const codes = (await Promise.all(answers)).map(({ errors }) => errors?.[0]?.extensions.code);

    const log = await query<{ type: string; change_seq: number }>(
      url,
      `SELECT type, change_seq FROM changes WHERE conversation_id = '${id}' ORDER BY change_seq`,
    );
    const rows = await stored(fleet, bob);
    // The removal is the last change, and all messages that were stored before it were acknowledged.
    expect(log.map(({ type }) => type)).toEqual([
      'CONVERSATION_CREATED',
      ...rows.map(() => 'MESSAGE_SENT'),
      'MEMBER_LEFT',
    ]);
    expect(rows.map(({ seq }) => seq)).toEqual(range(1, rows.length));
    expect(codes.filter((code) => code === undefined)).toHaveLength(rows.length);
    expect(new Set(codes.filter((code) => code !== undefined))).toEqual(new Set(['NOT_FOUND']));
    expect(rows.length).toBeGreaterThan(0);
    figure('removed while sends wait for the lock', { sends: count, stored: rows.length });
  });

  it('deliver everything once and in order to a client that is disconnected at random', {
    timeout: 120_000,
  }, async () => {
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
    figure('disconnected at random', {
      cuts,
      messages: count,
      repeatsPerCut: (one.repeats + all.repeats) / (2 * cuts),
    });
  });
});
