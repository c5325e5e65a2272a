import { describe, expect, it } from 'vitest';
import { register } from '../support/client.js';
import { atEnd } from '../support/ending.js';
import { isReady, makeFleet, type NodeProcess, nodeProcess, ownServers, within } from '../support/fleet.js';
import { freePort, serversLacking } from '../support/servers.js';
import { query } from '../support/services.js';
import { createGroup, send } from '../support/talk.js';

describe.skipIf(serversLacking !== undefined)('a node on a standby in recovery', () => {
  /** Starts a primary with a migrated or an empty database, and its standby. */
  async function makePair({ migrated }: { migrated: boolean }) {
    const servers = await ownServers();
    const fleet = await makeFleet(servers);
    if (migrated) await (await fleet.add()).stop();
    const { postgres } = servers;
    const standby = await postgres.startStandby(postgres.port);
    await within(10_000, 'the standby has everything', async () => {
      const [row] = await query<{ caughtUp: boolean }>(
        postgres.url,
        `SELECT bool_or(replay_lsn >= pg_current_wal_lsn()) AS "caughtUp" FROM pg_stat_replication`,
      );
      return row?.caughtUp;
    });
    const url = new URL(fleet.env['DATABASE_URL'] as string);
    url.port = String(standby.port);
    const node = nodeProcess({ ...fleet.env, DATABASE_URL: url.href }, await freePort());
    atEnd(() => node.remove());
    return { postgres, standby, node };
  }

  /** The output of a node that exits with status 1 at its start, without its log. */
  async function reasonAtStart(node: NodeProcess): Promise<string[]> {
    await expect(node.start()).rejects.toThrow(/the node ended with 1/);
    return node
      .output()
      .trim()
      .split('\n')
      .filter((line) => !line.startsWith('{'));
  }
  const oneLine = [
    expect.stringMatching(
      /^parley: DATABASE_URL: this PostgreSQL server is read-only, but a node requires the primary \(/,
    ),
  ];

  it('does not start on a database that no node has used, and prints the reason in one line', async () => {
    const { node } = await makePair({ migrated: false });
    expect(await reasonAtStart(node)).toEqual(oneLine);
  });

  it('does not start on a database that nodes have used, prints the reason in one line, and starts after the standby is promoted', {
    // Two clusters are made, copied and started.
    timeout: 240_000,
  }, async () => {
    const { postgres, standby, node } = await makePair({ migrated: true });
    expect(await reasonAtStart(node)).toEqual(oneLine);
    await postgres.stop('immediate');
    await standby.promote();
    await within(10_000, 'it takes writes', async () => {
      const [row] = await query<{ standby: boolean }>(standby.url, 'SELECT pg_is_in_recovery() AS standby');
      return row?.standby === false;
    });
    await node.start();
    expect(await isReady(node.url)).toBe(true);
    const alice = await register(node.url, 'alice');
    expect((await send(alice, await createGroup(alice, []), 'on the new primary')).seq).toBe(1);
  });
});
