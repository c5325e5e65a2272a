import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Person, register } from '../support/client.js';
import { atEnd } from '../support/ending.js';
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
  within,
} from '../support/fleet.js';
import { serversLacking } from '../support/servers.js';
import { createGroup } from '../support/talk.js';

const call = promisify(execFile);

/** The commit before the first release. */
const FIRST = '3f510b9';

/** The previous release: UPGRADE_FROM, or the last tag before this commit. */
async function lastRelease(): Promise<string> {
  const tag = call('git', ['describe', '--tags', '--match', 'v*', '--abbrev=0', 'HEAD^']).then(
    ({ stdout }) => stdout.trim(),
    () => FIRST,
  );
  return process.env['UPGRADE_FROM'] ?? tag;
}

/** Builds a commit with the installed packages. Returns its folder. */
async function build(commit: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley_release_'));
  atEnd(() => rm(folder, { recursive: true, force: true }));
  const archive = join(folder, 'archive.tar');
  await call('git', ['archive', '--output', archive, commit]);
  await call('tar', ['-xf', archive, '-C', folder]);
  await symlink(resolve('node_modules'), join(folder, 'node_modules'));
  const { PATH = '', HOME = '' } = process.env;
  await call(process.execPath, ['deploy/run.mjs', 'build'], { cwd: folder, env: { PATH, HOME } });
  return folder;
}

// Only in the long form, because it builds the previous release.
describe.skipIf(form(true, false) || serversLacking !== undefined)(
  'an upgrade from the last release, node by node',
  () => {
    let release: string;
    let old: string;
    let fleet: Fleet;
    let a: NodeProcess;
    let b: NodeProcess;
    beforeAll(async () => {
      release = await lastRelease();
      old = await build(release);
      fleet = await makeFleet(await ownServers());
      a = await fleet.add({}, old);
      b = await fleet.add({}, old);
    }, 600_000);

    it('loses no events during concurrent sends, and neither does a downgrade', { timeout: 600_000 }, async () => {
      const people: Person[] = [];
      for (const index of range(1, 10)) people.push(await register(index % 2 ? a.url : b.url));
      const [alice, ...members] = people as [Person, ...Person[]];
      const group = await createGroup(alice, members);
      let turn = 0;
      const balanced = () => {
        turn += 1;
        return (turn % 2 ? a : b).url;
      };
      const subscribers: Subscriber[] = people.map((person, index) =>
        subscribe(person, balanced, index % 3 ? { conversationId: group } : {}),
      );
      await within(30_000, 'all are live', () => subscribers.every(({ caughtUp }) => caughtUp > 0));
      const sender = makeSender(alice, group, [a.url, b.url]);
      const stop = sender.steadily(20);
      const steps: { step: string; stoppedMs: number; startedMs: number }[] = [];
      const replace = async (step: string, node: NodeProcess, folder?: string) => {
        const began = Date.now();
        expect(await node.stop(), node.output()).toBe(0);
        const stopped = Date.now();
        await node.start(folder);
        steps.push({ step, stoppedMs: stopped - began, startedMs: Date.now() - stopped });
        const sent = sender.answered.length;
        await within(60_000, 'it flows over both', () => sender.answered.length > sent + 40);
        const all = sender.answered.slice();
        for (const each of subscribers) await within(30_000, lacking(each, all), () => hasAll(each, all));
      };
      await replace('a to the new version', a);
      // A node of the previous release that exits during the upgrade is restarted.
      await replace('b restarted with the old version', b, old);
      await replace('b to the new version', b);
      await replace('a back to the old version', a, old);
      await replace('a to the new version again', a);
      await stop();
      const count = sender.answered.length;
      for (const each of subscribers) {
        await within(30_000, lacking(each, sender.answered), () => hasAll(each, sender.answered));
        expect(each.changes(group)).toEqual(range(2, count + 1));
        expect(each.late).toEqual([]);
        expect(each.codes.filter((code) => code !== 'UNAVAILABLE')).toEqual([]);
      }
      expect(sender.answered.map(({ seq }) => seq).sort((x, y) => x - y)).toEqual(range(1, count));
      figure('upgrade', {
        release,
        messages: count,
        steps,
        longestSendMs: Math.max(...sender.answered.map(({ ms }) => ms)),
        codes: Object.fromEntries(sender.codes),
      });
    });
  },
);
