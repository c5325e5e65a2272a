import { beforeAll, describe, expect, it } from 'vitest';
import { draftsOf } from '../../../packages/client/src/drafts.js';
import type { Parley } from '../../../packages/client/src/index.js';
import { peopleOf } from '../../../packages/client/src/people.js';
import type { RunningNode } from '../../../src/server/start.js';
import { eventually, type Person, register, registerAll } from '../../support/client.js';
import { rowId } from '../../support/durable-streams.js';
import { detailModes, sharedNode } from '../../support/place.js';
import { startProxy } from '../../support/proxy.js';
import { openAlone, openBrowser } from '../../support/tabs.js';
import { attempt, openAnswered, openDirect } from '../../support/talk.js';

describe.each(detailModes)('the further entry points of the client in %s mode', (mode) => {
  let node: RunningNode;

  beforeAll(async () => {
    node = await sharedNode(mode);
  });

  async function signIn(parley: Parley, person: Person): Promise<Parley> {
    await parley.session.useTokens({ accessToken: person.token, refreshToken: person.refreshToken });
    return parley;
  }
  const isLive = (parley: Parley) => parley.connection.value.status === 'live';

  it('keep contacts and blocked users equal on all devices', async () => {
    const [ana, ben, cleo] = await registerAll(node.url, 'ana', 'ben', 'cleo');
    await attempt(ana, 'addContact', { userId: ben.id });
    const devices = [openAlone({ url: node.url }), openAlone({ url: node.url })];
    const [first, second] = devices.map(peopleOf);
    await Promise.all(devices.map((device) => signIn(device, ana)));
    const namesOf = (list: 'contacts' | 'blocked') =>
      [first, second].map((people) => people?.[list].value.map(({ username }) => username));
    await eventually('both are live', () => devices.every(isLive));
    expect(namesOf('contacts')).toEqual([[ben.username], [ben.username]]);
    await first?.addContact(cleo.id);
    await first?.removeContact(ben.id);
    expect(namesOf('contacts')[0]).toEqual([cleo.username]);
    await second?.block(ben.id);
    const expected = JSON.stringify([
      [[cleo.username], [cleo.username]],
      [[ben.username], [ben.username]],
    ]);
    await eventually('both know', () => JSON.stringify([namesOf('contacts'), namesOf('blocked')]) === expected);
    await second?.unblock(ben.id);
    await eventually('both know', () => JSON.stringify(namesOf('blocked')) === '[[],[]]');
    expect(peopleOf(devices[0] as Parley)).toBe(first);
  });

  it('fetch more contacts than a page contains', async () => {
    const ana = await register(node.url, 'ana');
    const others = await registerAll(node.url, ...Array.from({ length: 103 }, (_, index) => `other${index}`));
    const data = others.map((other) => ({ ownerId: rowId(ana.id), userId: rowId(other.id) }));
    await node.deps.database.db.contact.createMany({ data });
    const parley = openAlone({ url: node.url });
    const people = peopleOf(parley);
    await signIn(parley, ana);
    await eventually('all are known', () => people.contacts.value.length === 103);
  });

  it('show who is online', async () => {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    await openAnswered(ana, ben);
    const parley = openAlone({ url: node.url });
    const user = peopleOf(parley).user(ben.id);
    await signIn(parley, ana);
    await eventually('it is live', () => isLive(parley));
    expect(user.value?.presence?.status ?? 'OFFLINE').toBe('OFFLINE');
    const other = await signIn(openAlone({ url: node.url }), ben);
    await eventually('he is online', () => user.value?.presence?.status === 'ONLINE');
    await other.close();
  });

  it('keep drafts on all devices, and those that were written offline', { timeout: 60_000 }, async () => {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const id = await openDirect(ana, ben);
    const proxy = await startProxy(Number(new URL(node.url).port));
    const browser = openBrowser();
    const open = () => browser.open({ url: `http://127.0.0.1:${proxy.port}/graphql` });
    const parley = open();
    const here = draftsOf(parley);
    await signIn(parley, ana);
    const other = openAlone({ url: node.url });
    const there = draftsOf(other).of(id);
    await signIn(other, ana);
    await eventually('both are live', () => isLive(parley) && isLive(other));
    for (const text of ['H', 'He', 'Hello']) await here.save(id, text);
    expect(here.of(id).value).toEqual({ text: 'Hello', replyToId: undefined });
    await eventually('the other device shows it', () => there.value?.text === 'Hello');
    proxy.pointTo(1);
    proxy.cut();
    await here.save(id, 'Hello, offline');
    await parley.close();
    const next = open();
    const again = draftsOf(next).of(id);
    await eventually('it is still there', () => again.value?.text === 'Hello, offline');
    expect(there.value?.text).toBe('Hello');
    proxy.pointTo(Number(new URL(node.url).port));
    await eventually('it is sent', () => there.value?.text === 'Hello, offline');
    await draftsOf(next).save(id, '');
    expect(again.value).toBeUndefined();
    await eventually('it is deleted', () => there.value === undefined);
  });

  it('show the settings that were changed on another device', async () => {
    const ana = await register(node.url, 'ana');
    const parley = openAlone({ url: node.url });
    draftsOf(parley);
    await signIn(parley, ana);
    await eventually('it is live', () => isLive(parley));
    await attempt(ana, 'setAvailability', { availability: 'BUSY' });
    await eventually('it is shown', () => {
      const session = parley.session.value;
      return session.status === 'signedIn' && session.viewer?.availability === 'BUSY';
    });
  });
});
