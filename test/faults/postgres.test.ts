import pg from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import { idOf } from '../../src/core/ids.js';
import { register } from '../support/client.js';
import {
  type Fleet,
  figure,
  form,
  hasAll,
  isReady,
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
import { type OwnServers, serversLacking } from '../support/servers.js';
import { query } from '../support/services.js';
import { createGroup } from '../support/talk.js';

describe.skipIf(serversLacking !== undefined)('PostgreSQL that fails', () => {
  let servers: OwnServers;
  let fleet: Fleet;
  let a: NodeProcess;
  let b: NodeProcess;
  beforeAll(async () => {
    servers = await ownServers();
    fleet = await makeFleet(servers);
    [a, b] = await Promise.all([fleet.add(), fleet.add()]);
  });
  const databaseUrl = () => fleet.env['DATABASE_URL'] ?? '';

  async function makeTalk() {
    const [alice, bob] = [await register(a.url, 'alice'), await register(b.url, 'bob')];
    const group = await createGroup(alice, [bob]);
    return { alice, bob, group, sender: makeSender(alice, group, [a.url, b.url]) };
  }

  it('crashes and restarts: acknowledged messages are stored once, and nodes recover by themselves', {
    timeout: 120_000,
  }, async () => {
    const { alice, bob, group, sender } = await makeTalk();
    const staying = [subscribe(bob, () => a.url), subscribe(alice, () => b.url, { conversationId: group })];
    const returning = subscribe(bob, () => b.url, { conversationId: group });
    const all = [...staying, returning];
    await within(5_000, 'all are live', () => all.every(({ caughtUp }) => caughtUp === 1));
    const stop = sender.steadily(form(40, 100));
    let longestToRecover = 0;
    for (const _ of range(1, form(1, 3))) {
      await pause(500);
      await servers.postgres.stop('immediate');
      await within(5_000, 'the nodes are not ready', async () => !(await isReady(a.url)) && !(await isReady(b.url)));
      returning.cut();
      await pause(1_500);
      await servers.postgres.start();
      const count = sender.answered.length;
      const ms = await within(5_000, 'sends are answered again', () => sender.answered.length > count);
      longestToRecover = Math.max(longestToRecover, ms);
      await within(
        10_000,
        () => `the nodes are ready: ${a.output().slice(-1_000)} ${b.output().slice(-1_000)}`,
        async () => (await isReady(a.url)) && (await isReady(b.url)),
      );
    }
    await stop();
    const rows = await query<{ seq: number; text: string }>(
      databaseUrl(),
      `SELECT seq, text FROM messages WHERE conversation_id = '${idOf('Conversation', group, '')}' ORDER BY seq`,
    );
    expect(rows.map(({ seq }) => seq)).toEqual(range(1, rows.length));
    expect(new Map(rows.map(({ seq, text }) => [seq, text]))).toEqual(
      new Map(sender.answered.map(({ seq, text }) => [seq, text])),
    );
    expect(rows.length).toBe(sender.answered.length);
    expect([...sender.codes.keys()]).toEqual(['UNAVAILABLE']);
    let complete = 0;
    for (const subscriber of all) {
      const missing = lacking(subscriber, sender.answered);
      complete = Math.max(complete, await within(5_000, missing, () => hasAll(subscriber, sender.answered)));
      expect(subscriber.changes(group)).toEqual(range(2, rows.length + 1));
      expect(subscriber.late).toEqual([]);
    }
    expect(staying.map(({ connections }) => connections)).toEqual([1, 1]);
    expect(returning.connections).toBeGreaterThan(1);
    figure('PostgreSQL stopped in immediate mode', {
      messages: rows.length,
      refused: sender.codes.get('UNAVAILABLE'),
      answersAgainAfterMs: longestToRecover,
      completeAfterMs: complete,
    });
  });

  it('has long transactions of other clients: no event is skipped, and few are repeated', {
    timeout: 120_000,
  }, async () => {
    const { alice, bob, group, sender } = await makeTalk();
    const slow = await createGroup(alice, [bob]);
    const other = await servers.postgres.createDatabase(`other_${Date.now()}`);
    const holders = await Promise.all(
      [databaseUrl(), other].map(async (connectionString) => {
        const client = new pg.Client({ connectionString });
        await client.connect();
        await client.query('BEGIN');
        await client.query('SELECT pg_current_xact_id()');
        return client;
      }),
    );
    const [holder] = holders as [pg.Client, pg.Client];
    try {
      const cutting = subscribe(bob, () => b.url);
      const staying = subscribe(bob, () => a.url);
      await within(5_000, 'both are live', () => cutting.caughtUp > 0 && staying.caughtUp > 0);
      const perSecond = form(40, 100);
      const stop = sender.steadily(perSecond);
      const cuts = form(4, 20);
      for (const cut of range(1, cuts)) {
        await pause(form(400, 1_000));
        cutting.cut();
        await within(5_000, 'it has caught up', () => cutting.caughtUp > cut);
      }
      await stop();
      await within(5_000, lacking(cutting, sender.answered), () => hasAll(cutting, sender.answered));
      const repeatsPerCut = cutting.repeats / cuts;
      // The cursor is at most a sweep (one second) old.
      expect(repeatsPerCut).toBeLessThan(2 * perSecond);

      // While nothing happens, the client has a cursor that contains everything.
      const { checkpoints, repeats, caughtUp } = cutting;
      await within(5_000, 'a fresh cursor came', () => cutting.checkpoints > checkpoints);
      cutting.cut();
      await within(5_000, 'it has caught up', () => cutting.caughtUp > caughtUp);
      expect(cutting.repeats).toBe(repeats);

      // The oldest transaction finally writes. Its id is much smaller than those in every cursor.
      const before = cutting.cursor as string;
      const id = idOf('Conversation', slow, '');
      const message = '01930000-0000-7000-8000-000000000000'.slice(0, -6) + String(Date.now()).slice(-6);
      await holder.query(`UPDATE conversations SET change_seq = 2, latest_seq = 1 WHERE id = '${id}'`);
      await holder.query(
        `INSERT INTO messages (id, conversation_id, seq, text) VALUES ('${message}', '${id}', 1, 'late')`,
      );
      await holder.query(`INSERT INTO changes (conversation_id, change_seq, type, message_id)
        VALUES ('${id}', 2, 'MESSAGE_SENT', '${message}')`);
      await holder.query('COMMIT');
      const resumed = subscribe(bob, () => b.url, { after: before });
      for (const subscriber of [staying, cutting, resumed]) {
        await within(5_000, 'the late one came', () => subscriber.changes(slow).length === 1);
      }
      await within(5_000, 'it has caught up', () => resumed.caughtUp > 0);
      expect(resumed.events.length).toBe(1);
      const count = sender.answered.length;
      for (const subscriber of [staying, cutting]) {
        expect(subscriber.changes(group)).toEqual(range(2, count + 1));
        expect(subscriber.late).toEqual([]);
      }
      expect([staying.repeats, staying.connections]).toEqual([0, 1]);
      figure('long transactions held open', { messages: count, cuts, perSecond, repeatsPerCut, repeatsIdle: 0 });
    } finally {
      await Promise.all(holders.map((client) => client.end()));
    }
  });
});
