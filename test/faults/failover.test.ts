import { randomBytes } from 'node:crypto';
import { type Client, createClient } from 'graphql-ws';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { idOf } from '../../src/core/ids.js';
import { type Json, type Person, register, socketUrl } from '../support/client.js';
import { atEnd } from '../support/ending.js';
import {
  figure,
  form,
  isReady,
  makeFleet,
  makeSender,
  ownServers,
  pause,
  type Subscriber,
  subscribe,
  within,
} from '../support/fleet.js';
import { startProxy } from '../support/proxy.js';
import { type OwnServers, pgbouncerLacking, serversLacking, startPgbouncer } from '../support/servers.js';
import { query } from '../support/services.js';
import { createGroup } from '../support/talk.js';

if (serversLacking === undefined && pgbouncerLacking !== undefined) {
  console.log(`The failovers through PgBouncer are skipped: ${pgbouncerLacking}.`);
}

/** How nodes reach the primary. In each case, one of the two connects directly. */
type Way = 'directly' | 'through PgBouncer' | 'in both ways';

/** How long nodes may be unavailable after the new primary accepts writes, in milliseconds. */
const RECOVERED_MS = 10_000;

describe.skipIf(serversLacking !== undefined)('failover to an asynchronous standby', () => {
  /** Starts two nodes that reach the primary through a proxy, one of them optionally through PgBouncer. */
  async function makeCluster(way: Way) {
    const servers = await ownServers();
    let primary: Pick<OwnServers['postgres'], 'port' | 'stop' | 'startStandby' | 'url'> = servers.postgres;
    const proxy = await startProxy(primary.port);
    const pooler = way === 'directly' ? undefined : await startPgbouncer(proxy.port);
    const name = `failover_${randomBytes(4).toString('hex')}`;
    await servers.postgres.createDatabase(name);
    const urlAt = (port: number) => `postgresql://postgres@127.0.0.1:${port}/${name}`;
    const fleet = await makeFleet(servers, {
      DATABASE_URL: urlAt(proxy.port),
      // Clients fetch everything in one request.
      PAGE_MAX: '1000',
      OPERATION_COST_MAX: '1000000',
    });
    const pooled = pooler && { DATABASE_URL: urlAt(pooler.port), DATABASE_PREPARED: 'off' };
    // One after another, because the lock of migrations has no effect behind a pooler in transaction mode.
    const nodes = [await fleet.add(way === 'through PgBouncer' ? pooled : {}), await fleet.add(pooled ?? {})] as const;

    /**
     * Starts a standby that receives nothing in the last `lagMs`. The returned function replaces the primary by it, and
     * resolves when the standby accepts writes.
     */
    async function startStandby(): Promise<(lagMs: number) => Promise<void>> {
      const replication = await startProxy(primary.port);
      const standby = await primary.startStandby(replication.port);
      await within(5_000, 'the standby replicates', async () => {
        const [row] = await query<{ caughtUp: boolean }>(
          primary.url,
          `SELECT bool_or(replay_lsn >= pg_current_wal_lsn()) AS "caughtUp" FROM pg_stat_replication`,
        );
        return row?.caughtUp;
      });
      return async (lagMs) => {
        if (lagMs > 0) {
          replication.swallow();
          await pause(lagMs);
        }
        await primary.stop('immediate');
        replication.cut();
        proxy.cut();
        await standby.promote();
        primary = standby;
        proxy.pointTo(standby.port);
      };
    }
    return { nodes, startStandby, databaseUrl: () => urlAt(primary.port) };
  }

  /** A stream of which only error codes and CAUGHT_UP events are recorded. */
  function watch(person: Person, url: string, field: string, selection: string) {
    const state = { codes: [] as string[], caughtUp: 0 };
    const client: Client = createClient({
      url: socketUrl(url),
      webSocketImpl: WebSocket,
      connectionParams: { authorization: person.token },
      retryAttempts: 0,
    });
    const failed = (errors: Json) => void state.codes.push(errors?.[0]?.extensions?.code ?? String(errors));
    client.subscribe(
      { query: `subscription { ${field} { ${selection} } }` },
      {
        next({ data, errors }) {
          if (errors) failed(errors);
          else if ((data as Json)[field].type === 'CAUGHT_UP') state.caughtUp += 1;
        },
        error: failed,
        complete() {},
      },
    );
    atEnd(() => client.dispose());
    return state;
  }

  /** A client that follows docs/PROTOCOL.md: it fetches the conversation again after CURSOR_EXPIRED. */
  function showing(person: Person, nodeUrl: () => string, group: string) {
    const streams: Subscriber[] = [];
    let fetched = new Map<number, string>();
    let closed = false;
    const state = {
      events: 0,
      close() {
        closed = true;
      },
      current: () => streams.at(-1) as Subscriber,
      shown() {
        const shown = new Map(fetched);
        for (const { message } of state.current().events) {
          if (message.conversation.id === group) shown.set(message.seq, message.text);
        }
        return shown;
      },
    };
    async function begin(after?: string): Promise<void> {
      const stream = subscribe(person, nodeUrl, after === undefined ? {} : { after });
      streams.push(stream);
      while (!stream.codes.includes('CURSOR_EXPIRED')) {
        if (closed) return;
        await pause(20);
      }
      state.events += 1;
      for (;;) {
        if (closed) return;
        const answer = await fetchAll().catch(() => undefined);
        if (answer) return begin(answer);
        await pause(100);
      }
    }
    async function fetchAll(): Promise<string | undefined> {
      const { data } = await person
        .at(nodeUrl())
        .request(
          `query ($id: ID!) { viewer { syncCursor } conversation(id: $id) { messages(last: 1000) { nodes { seq text } } } }`,
          { id: group },
        );
      if (!data?.conversation) return undefined;
      const { nodes } = data.conversation.messages as { nodes: { seq: number; text: string }[] };
      fetched = new Map(nodes.map(({ seq, text }) => [seq, text]));
      return data.viewer.syncCursor as string;
    }
    void begin();
    return state;
  }

  async function storedIn(url: string, group: string): Promise<Map<number, string>> {
    const rows = await query<{ seq: number; text: string }>(
      url,
      `SELECT seq, text FROM messages WHERE conversation_id = '${idOf('Conversation', group, '')}'`,
    );
    return new Map(rows.map(({ seq, text }) => [seq, text]));
  }

  async function tryFailovers(way: Way, lags: readonly number[]): Promise<void> {
    const { nodes, startStandby, databaseUrl } = await makeCluster(way);
    const [a, b] = nodes;
    const pids = nodes.map(({ child }) => child.pid);
    const alice = await register(a.url, 'alice');
    const bob = await register(b.url, 'bob');
    const figures: object[] = [];
    for (const lagMs of lags) {
      const group = await createGroup(alice, [bob]);
      const sender = makeSender(alice, group, [a.url, b.url]);
      /** Alternates between the nodes whenever its connection breaks. */
      let turn = 0;
      const roaming = showing(bob, () => (turn++ % 2 === 0 ? a.url : b.url), group);
      const clients = [showing(bob, () => a.url, group), showing(alice, () => b.url, group), roaming];
      await within(10_000, 'all are live', () => clients.every((client) => client.current().caughtUp > 0));
      // Has received messages that are lost, and is disconnected during the failover.
      const absent = subscribe(bob, () => a.url, { conversationId: group });
      const receipts = watch(bob, b.url, 'receipts', 'type');
      const conversations = watch(bob, a.url, 'conversations', 'type');
      const contacts = watch(bob, b.url, 'contacts', 'type');
      const others = [receipts, conversations, contacts];
      await within(5_000, 'they are live', () => absent.caughtUp > 0 && others.every(({ caughtUp }) => caughtUp > 0));
      const failOver = await startStandby();
      const stop = sender.steadily(20, `steady ${way} ${lagMs}`);
      // Its connection breaks just before the primary fails, so that its cursor can be up to a sweep old.
      await within(5_000, 'messages come', () => roaming.shown().size > 10);
      const failing = failOver(lagMs);
      const after = new Promise<string | undefined>((resolve) =>
        setTimeout(() => resolve(absent.cursor), Math.max(0, lagMs - 20)),
      );
      await failing;
      const promotedAt = Date.now();
      await within(
        RECOVERED_MS,
        () => `the nodes are ready: ${a.output().slice(-2_000)} ${b.output().slice(-2_000)}`,
        async () => (await isReady(a.url)) && (await isReady(b.url)),
      );
      const count = sender.answered.length;
      await within(RECOVERED_MS, 'sends are answered', () => sender.answered.length > count + 5);
      roaming.current().cut();
      await stop();
      const stored = await storedIn(databaseUrl(), group);
      const isExact = () =>
        clients.every((client) => {
          const shown = client.shown();
          return shown.size === stored.size && [...stored].every(([seq, text]) => shown.get(seq) === text);
        });
      const explain = () =>
        clients
          .map((client) => {
            const shown = client.shown();
            const wrong = [...stored].filter(([seq, text]) => shown.get(seq) !== text).map(([seq]) => seq);
            return `events ${client.events}, shows ${shown.size} of ${stored.size}, wrong or missing: ${wrong.slice(0, 20)}`;
          })
          .join('; ');
      await within(RECOVERED_MS, explain, isExact);
      const recoveredMs = Date.now() - promotedAt;
      expect(stored.size).toBe(Math.max(...stored.keys()));
      expect(clients.map(({ events }) => events > 0)).toEqual([true, true, true]);
      await within(5_000, `all have ended: ${JSON.stringify(others)}`, () =>
        others.every(({ codes }) => codes.includes('CURSOR_EXPIRED')),
      );
      const late = subscribe(bob, () => b.url, { conversationId: group, after: (await after) as string });
      await within(
        5_000,
        'the client that was away receives an event or an error',
        () => late.codes.length > 0 || late.caughtUp > 0,
      );
      expect([late.codes, late.events]).toEqual([['CURSOR_EXPIRED'], []]);
      const lost = sender.answered.filter(({ seq, text }) => stored.get(seq) !== text).length;
      figures.push({ lagMs, answered: sender.answered.length, lost, recoveredMs });
      for (const client of clients) client.close();
    }
    expect(nodes.map(({ child }) => child.pid)).toEqual(pids);
    for (const each of figures) figure(`failover ${way}`, each as Record<string, unknown>);
  }

  const all = [0, 200, 400, 1_500, 4_000];
  const ways: [Way, readonly number[]][] =
    pgbouncerLacking !== undefined
      ? [['directly', form([300], all)]]
      : form(
          [['in both ways', [300]]],
          [
            ['directly', all],
            ['through PgBouncer', [200, 400, 1_500, 4_000]],
            ['in both ways', [300]],
          ],
        );

  it.each(ways)(
    'with nodes that connect %s: clients have the new history or get CURSOR_EXPIRED, and nodes recover by themselves',
    {
      timeout: 300_000,
    },
    tryFailovers,
  );
});
