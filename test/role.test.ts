import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { decodeGlobalId } from '../src/core/ids.js';
import { type Json, register, registerAll } from './support/client.js';
import { nodeFlags } from './support/environment.js';
import { untilNotified } from './support/notifier.js';
import { detailModes, makePlace, modes } from './support/place.js';
import { openDirect, send } from './support/talk.js';

describe.each(modes)('npm run role in %s mode', (mode) => {
  it('grants the first admin role, which is recorded', async () => {
    const there = await makePlace(mode);
    const first = await there.start();
    const ana = await register(first.url, 'ana');
    await first.stop();
    const role = (...args: string[]) =>
      promisify(execFile)(process.execPath, [...nodeFlags, 'dist/role.js', ...args], {
        env: { ...process.env, ...there.env },
      }).then(
        ({ stdout }) => stdout.trim(),
        (error: Json) => `${error.code} ${error.stderr.trim()}`,
      );
    expect(await role(ana.username)).toBe(`${ana.username} now has the role ADMIN.`);
    // Each call starts a process.
    if (detailModes.includes(mode)) {
      expect(await role('nobody_at_all')).toBe('78 parley: no user has the name nobody_at_all');
      expect(await role(ana.username, 'king')).toContain('78 parley: usage:');
    }
    const again = await there.start();
    expect((await ana.at(again.url).ask('{ viewer { serviceRole } }')).viewer.serviceRole).toBe('ADMIN');
    // A command has neither an account nor an address.
    const put = await again.deps.database.db.auditEntry.findMany({ where: { action: 'SERVICE_ROLE_CHANGED' } });
    expect(put).toMatchObject([
      {
        actorId: null,
        subjectId: decodeGlobalId(ana.id, 'id').id,
        address: null,
        details: [
          { name: 'role', value: 'ADMIN', oldValue: 'USER' },
          { name: 'by', value: 'COMMAND' },
        ],
      },
    ]);
    // The embedded database is of one process.
    if (mode === 'embedded') expect(await role(ana.username, 'USER')).toMatch(/^78 parley: DATA_DIR/);
    await again.stop();
    // Several processes, one after another.
  }, 120_000);
});

describe.each(modes)('npm run notifications in %s mode', (mode) => {
  it('shows why a user was not notified, which is recorded', async () => {
    const there = await makePlace(mode);
    const first = await there.start();
    const [ana, bob] = await registerAll(first.url, 'ana', 'bob');
    const { id } = await send(bob, await openDirect(bob, ana), 'a secret');
    await untilNotified(first);
    await first.stop();
    const run = (...args: string[]) =>
      promisify(execFile)(process.execPath, [...nodeFlags, 'dist/notifications.js', ...args], {
        env: { ...process.env, ...there.env },
      }).then(
        ({ stdout }) => stdout.trim(),
        (error: Json) => `${error.code} ${error.stderr.trim()}`,
      );
    const shown = await run('trace', id, ana.username);
    expect(shown).toMatch(/^No push was sent\. NO_DEVICE: .*\nDecided: \S+Z\nLevel: ALL\nMuted until: not muted$/);
    if (detailModes.includes(mode)) {
      expect(await run('trace', id, 'nobody_at_all')).toBe('78 parley: no user has the name nobody_at_all');
      expect(await run('trace', ana.id, ana.username)).toBe(`78 parley: ${ana.id} is not the id of a message`);
      expect(await run('trace', id)).toContain('78 parley: usage:');
    }
    const again = await there.start();
    const read = await again.deps.database.db.auditEntry.findMany({ where: { action: 'NOTIFICATION_TRACE_READ' } });
    expect(read).toMatchObject([
      { actorId: null, subjectId: decodeGlobalId(ana.id, 'id').id, details: [{ name: 'messageId', value: id }] },
    ]);
    await again.stop();
    // Several processes, one after another.
  }, 120_000);
});
