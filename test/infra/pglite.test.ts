import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, inject, it } from 'vitest';
import type { DatabaseDriver } from '../../src/infra/database/driver.js';
import { freeBytesOf } from '../../src/infra/database/guarded-pglite.js';
import { openPglite } from '../../src/infra/database/pglite.js';
import { startMaintenance } from '../../src/infra/database/pglite-maintenance.js';
import { createLog } from '../../src/infra/telemetry/log.js';
import { eventually, register } from '../support/client.js';
import { atEnd } from '../support/ending.js';
import { makePlace } from '../support/place.js';
import { createGroup, SEND, send } from '../support/talk.js';

const exec = promisify(execFile);
const log = createLog('silent');
const megabytes = (count: number) => count * 1_048_576;

/** A small disk with a migrated embedded database on it; undefined where nothing can be mounted. */
async function makeDisk(): Promise<string | undefined> {
  const disk = await mkdtemp(join(tmpdir(), 'parley-disk-'));
  try {
    await exec('mount', ['-t', 'tmpfs', '-o', 'size=160m', 'parley-test', disk]);
  } catch {
    await rm(disk, { recursive: true });
    console.log('Nothing can be mounted here: a full disk is not tested.');
    return undefined;
  }
  atEnd(async () => {
    await exec('umount', ['-l', disk]);
    await rm(disk, { recursive: true });
  });
  await cp(inject('embeddedTemplate'), join(disk, 'data'), { recursive: true });
  return disk;
}

/** Leaves this number of bytes free. */
const fill = async (disk: string, bytes: number) =>
  writeFile(join(disk, 'ballast'), Buffer.alloc(Math.max(0, freeBytesOf(disk) - bytes)));
const empty = (disk: string) => rm(join(disk, 'ballast'));

describe('the embedded database on a full disk', () => {
  it('stops when it cannot write its log, fails at once, and is reopened when there is space', async () => {
    const disk = await makeDisk();
    if (disk === undefined) return;
    const database: DatabaseDriver = await openPglite(join(disk, 'data'), 0, log);
    let closed = false;
    atEnd(() => closed || database.close());
    await database.query('CREATE TABLE filling (text text)', []);
    // Hardly anything except the log needs space, so that writing the log fails.
    const insert = () =>
      database.query(
        `WITH added AS (INSERT INTO filling (text) VALUES ('before') RETURNING text)
         SELECT pg_logical_emit_message(true, text, repeat('x', 1000000)) FROM added`,
        [],
      );
    await fill(disk, megabytes(3));
    let answered = 0;
    let refused: unknown;
    while (refused === undefined && answered < 100) {
      await insert().then(
        () => {
          answered += 1;
        },
        (error: unknown) => {
          refused = error;
        },
      );
    }
    expect(refused).toMatchObject({ code: '53100' });
    // Without the safeguard, this would block the thread forever.
    await expect(database.transaction(({ query }) => query('SELECT 1', []))).rejects.toMatchObject({ code: '53100' });
    await empty(disk);
    await eventually('it answers', () =>
      database.query('SELECT 1', []).then(
        () => true,
        () => false,
      ),
    );
    const [row] = await database.query<{ count: number }>('SELECT count(*)::int AS count FROM filling', []);
    expect(row?.count).toBe(answered);
    await database.query("INSERT INTO filling (text) VALUES ('again')", []);
    closed = true;
    await database.close();
  });

  it('rejects writes while too little space is free, and continues to read', async () => {
    const disk = await makeDisk();
    if (disk === undefined) return;
    const place = await makePlace('embedded');
    const DATA_DIR_MIN_FREE_BYTES = String(megabytes(24));
    const node = await place.start({ DATA_DIR: join(disk, 'data'), DATA_DIR_MIN_FREE_BYTES });
    const alice = await register(node.url, 'alice');
    const group = await createGroup(alice, []);
    const message = await send(alice, group, 'before');
    await fill(disk, megabytes(10));
    // A measurement of the free space is valid for a moment.
    let refused: unknown;
    await eventually('a write is rejected', async () => {
      const input = { conversationId: group, text: 'while it is full', clientMessageId: `${Math.random()}` };
      refused = (await alice.request(SEND, { input })).errors?.[0]?.extensions;
      return refused !== undefined;
    });
    expect(refused).toMatchObject({ code: 'UNAVAILABLE', retryAfterMs: expect.any(Number) });
    const read = await alice.ask('query ($id: ID!) { node(id: $id) { ... on Message { text } } }', { id: message.id });
    expect(read).toEqual({ node: { text: 'before' } });
    await node.stop();
    await expect(openPglite(join(disk, 'data'), megabytes(24), log)).rejects.toThrow(
      /^DATA_DIR: the disk of .* is full/,
    );
    await empty(disk);
    const again = await place.start({ DATA_DIR: join(disk, 'data'), DATA_DIR_MIN_FREE_BYTES });
    await send(alice.at(again.url), group, 'after');
  });
});

it('the embedded database reuses the space of deleted rows, and limits the size of its log', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'parley-pglite-'));
  atEnd(() => rm(folder, { recursive: true }));
  await cp(inject('embeddedTemplate'), folder, { recursive: true });
  const database = await openPglite(folder, 0, log);
  atEnd(() => database.close());
  const dead = () =>
    database.query<{ dead: number; behind: number }>(
      `SELECT (SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'filling')::int AS dead,
              pg_wal_lsn_diff(pg_current_wal_lsn(), redo_lsn)::float8 AS behind FROM pg_control_checkpoint()`,
      [],
    );
  await database.query('CREATE TABLE filling (id serial PRIMARY KEY, text text)', []);
  for (let round = 0; round < 4; round += 1) {
    await database.query("INSERT INTO filling (text) SELECT repeat('x', 200) FROM generate_series(1, 30000)", []);
    await database.query('DELETE FROM filling', []);
  }
  // PostgreSQL counts them about a second later.
  await eventually('the removed rows are counted', async () => ((await dead())[0]?.dead ?? 0) > 50_000);
  const session = { query: (sql: string) => database.query(sql, []).then((rows) => ({ rows })), hasFreeSpace: true };
  const exec = (sql: string) => database.exclusively(({ run }) => run(sql));
  const maintenance = startMaintenance(() => ({ ...session, exec }) as never, log, { intervalMs: 10, idleMs: 10 });
  try {
    await eventually('the table is vacuumed', async () => {
      const [now] = await dead();
      return now?.dead === 0 && now.behind < megabytes(32);
    });
  } finally {
    await maintenance.close();
  }
});

/**
 * Keeps the state in which a loss of power would leave a folder: a copy of it as it is now, in which a file changes
 * only when its content is synchronized. Resolves with what ends it and returns the folder of the copy.
 */
async function keepSynchronized(folder: string): Promise<() => string> {
  const kept = await mkdtemp(join(tmpdir(), 'parley-power-'));
  atEnd(() => rm(kept, { recursive: true }));
  await cp(folder, kept, { recursive: true });
  const { fdatasyncSync } = fs;
  const restore = () => {
    fs.fdatasyncSync = fdatasyncSync;
    syncBuiltinESMExports();
  };
  fs.fdatasyncSync = (descriptor) => {
    fdatasyncSync(descriptor);
    const path = fs.readlinkSync(`/proc/self/fd/${descriptor}`);
    if (path.startsWith(folder)) fs.copyFileSync(path, join(kept, relative(folder, path)));
  };
  syncBuiltinESMExports();
  atEnd(restore);
  return () => {
    restore();
    return kept;
  };
}

it.skipIf(process.platform !== 'linux')(
  'the embedded database has every answered transaction after a loss of power',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-pglite-'));
    atEnd(() => rm(folder, { recursive: true }));
    await cp(inject('embeddedTemplate'), folder, { recursive: true });
    const database = await openPglite(folder, 0, log);
    atEnd(() => database.close());
    await database.query('CREATE TABLE answered (number int)', []);
    const losePower = await keepSynchronized(folder);
    for (let number = 1; number <= 5; number += 1) {
      await database.query('INSERT INTO answered VALUES ($1)', [number]);
    }
    // Data files too: their changes are in no log that is read after the checkpoint.
    await database.exclusively(({ run }) => run('CHECKPOINT'));
    await database.transaction(({ query }) => query('INSERT INTO answered VALUES (6)', []));
    const kept = losePower();
    await rm(join(kept, 'lock'));
    const again = await openPglite(kept, 0, log);
    try {
      const rows = await again.query<{ number: number }>('SELECT number FROM answered ORDER BY number', []);
      expect(rows.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6]);
    } finally {
      await again.close();
    }
  },
);
