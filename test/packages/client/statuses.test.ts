import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { Parley } from '../../../packages/client/src/index.js';
import { mediaOf } from '../../../packages/client/src/media.js';
import { type StatusAuthor, type Statuses, statusesOf } from '../../../packages/client/src/statuses.js';
import { trimChangeLog } from '../../../src/realtime/change-log.js';
import type { RunningNode } from '../../../src/server/start.js';
import { eventually, type Person, registerAll } from '../../support/client.js';
import { makePicture } from '../../support/media.js';
import { detailModes, makePlace, type Place } from '../../support/place.js';
import { startProxy } from '../../support/proxy.js';
import { befriend, postStatus, statusesOfAuthor } from '../../support/status-posts.js';
import { openAlone, openBrowser } from '../../support/tabs.js';
import { attempt, openDirect, send } from '../../support/talk.js';
import { followStatuses, postPhoto } from './statuses.js';

const urlOf = (port: number) => `http://127.0.0.1:${port}/graphql`;
const portOf = (node: RunningNode) => Number(new URL(node.url).port);
const tokensOf = ({ token, refreshToken }: Person) => ({ accessToken: token, refreshToken });

async function signIn(parley: Parley, person: Person): Promise<Statuses> {
  const statuses = statusesOf(parley);
  await parley.session.useTokens(tokensOf(person));
  await eventually('the feed is loaded', () => statuses.value.isLoaded && parley.connection.value.status === 'live');
  return statuses;
}

/** The name with which a user was registered. */
const nameOf = (displayName: string) => displayName.split('_')[0];

/** The authors of a feed with the texts of their statuses. */
const textsOf = ({ value }: Statuses) =>
  value.authors.map(
    ({ author, statuses, hasUnviewed }: StatusAuthor) =>
      `${nameOf(author.displayName)}${hasUnviewed ? '*' : ''}: ${statuses.map(({ text }) => text).join(', ')}`,
  );

/**
 * Holds back what clients send with an operation of one of these names, whichever transport they use. Returns functions,
 * by name, that send what was last held back.
 */
function holdRequests(...names: string[]): Map<string, () => void> {
  const held = new Map<string, () => void>();
  const nameIn = (sent: unknown) => names.find((name) => String(sent).includes(name));
  const { send: sendFrame } = WebSocket.prototype;
  vi.spyOn(WebSocket.prototype, 'send').mockImplementation(function (this: WebSocket, ...args) {
    const run = () => Reflect.apply(sendFrame, this, args);
    const name = nameIn(args[0]);
    if (name) held.set(name, run);
    else run();
  });
  // Without a connection, clients use HTTP.
  const { fetch: sendRequest } = globalThis;
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (url, init) => {
    const name = nameIn(init?.body);
    if (name) {
      await new Promise<void>((resolve, reject) => {
        held.set(name, resolve);
        init?.signal?.addEventListener('abort', reject);
      });
    }
    return sendRequest(url, init);
  });
  return held;
}

/** Counts the frames that clients send with an operation of this name. */
function countSent(name: string): () => number {
  const sent = vi.spyOn(WebSocket.prototype, 'send');
  return () => sent.mock.calls.filter(([frame]) => String(frame).includes(name)).length;
}

describe.each(detailModes)('the statuses of the client in %s mode', (mode) => {
  let place: Place;
  let node: RunningNode;

  beforeAll(async () => {
    place = await makePlace(mode);
    node = await place.start();
  });
  afterEach(() => vi.restoreAllMocks());

  const open = (person: Person) => signIn(openAlone({ url: node.url }), person);

  it('are shown by author, unviewed first, and kept current on all devices', async () => {
    const [me, ann, ben] = await registerAll(node.url, 'me', 'ann', 'ben');
    await befriend(me, ann, ben);
    await postStatus(ann, { text: 'a1' });
    await postStatus(ben, { text: 'b1' });
    const [one, two] = await Promise.all([open(me), open(me)]);
    expect(textsOf(one)).toEqual(['ben*: b1', 'ann*: a1']);
    const [first] = one.value.authors;
    one.markViewed(first?.statuses[0]?.id ?? '');
    expect(textsOf(one)).toEqual(['ann*: a1', 'ben: b1']);
    await eventually('the other device has the view', () => textsOf(two).join() === textsOf(one).join());
    const a2 = await postStatus(ann, { text: 'a2' });
    for (const each of [one, two]) {
      await eventually('it is there', () => textsOf(each).join('; ') === 'ann*: a1, a2; ben: b1');
    }
    await attempt(ann, 'deleteStatus', { statusId: a2.id });
    for (const each of [one, two]) await eventually('it is gone', () => textsOf(each)[0] === 'ann*: a1');
    // A contact that is removed takes the statuses along.
    await attempt(me, 'removeContact', { userId: ann.id });
    for (const each of [one, two]) await eventually('they are gone', () => textsOf(each).join() === 'ben: b1');
  });

  it('are posted, deleted and marked as viewed, and the author sees by whom', async () => {
    const [me, ann, ben] = await registerAll(node.url, 'me', 'ann', 'ben');
    await befriend(me, ann, ben);
    const [mine, anns, bens] = await Promise.all([open(me), open(ann), open(ben)]);
    await mine.post({ text: 'one', style: 'dusk' });
    await mine.post({ text: 'two', audience: { mode: 'ONLY', userIds: [ben.id] } });
    await eventually('both are posted', () => mine.pending.value.length === 0 && mine.value.own.length === 2);
    expect(mine.value.own).toMatchObject([
      { text: 'one', style: 'dusk', viewCount: 0, author: { id: me.id } },
      { text: 'two' },
    ]);
    await eventually('ben sees both', () => textsOf(bens).join() === 'me*: one, two');
    await eventually('ann sees one', () => textsOf(anns).join() === 'me*: one');
    const [status, second] = mine.value.own;
    const views = mine.views(status?.id ?? '');
    const stop = views.subscribe(() => {});
    await eventually('the list is loaded', () => views.value.isLoaded);
    expect(views.value).toMatchObject({ viewCount: 0, views: [], hasMore: false });
    const marks = countSent('MarkStatusesViewed');
    for (const { id } of bens.value.authors[0]?.statuses ?? []) {
      bens.markViewed(id);
      bens.markViewed(id);
    }
    anns.markViewed(status?.id ?? '');
    await eventually('both views are listed', () => views.value.views.length === 2);
    expect(views.value.viewCount).toBe(2);
    expect(views.value.views.map(({ user }) => user.id).sort()).toEqual([ann.id, ben.id].sort());
    // Ann's, and those of Ben together.
    expect(marks()).toBe(2);
    bens.markViewed(status?.id ?? '');
    await mine.delete(second?.id ?? '');
    expect(mine.value.own.map(({ text }) => text)).toEqual(['one']);
    await eventually('ben sees one', () => textsOf(bens).join() === 'me: one');
    expect(marks()).toBe(2);
    stop();
  });

  it('are complete after cuts, and posted and marked exactly once', { timeout: 60_000 }, async () => {
    const [me, ann] = await registerAll(node.url, 'me', 'ann');
    await befriend(me, ann);
    const proxy = await startProxy(portOf(node));
    const mine = await signIn(openAlone({ url: urlOf(proxy.port), requestTimeout: 2_000 }), me);
    for (let index = 1; index <= 6; index += 1) {
      const posting = mine.post({ text: `m${index}` });
      const other = postStatus(ann, { text: `a${index}` });
      // At different times: before the request, before its answer, and before the event.
      await new Promise((resolve) => setTimeout(resolve, index * 3));
      proxy.cut();
      await Promise.all([posting, other]);
    }
    const expected = Array.from({ length: 6 }, (_, index) => index + 1);
    await eventually('all are posted', () => mine.pending.value.length === 0 && mine.value.own.length === 6);
    await eventually('all are there', () => mine.value.authors[0]?.statuses.length === 6);
    expect(textsOf(mine)).toEqual([`ann*: ${expected.map((index) => `a${index}`).join(', ')}`]);
    expect((await statusesOfAuthor(me)).map(({ text }) => text)).toEqual(expected.map((index) => `m${index}`));
    for (const [index, { id }] of (mine.value.authors[0]?.statuses ?? []).entries()) {
      mine.markViewed(id);
      if (index % 2 === 0) proxy.cut();
    }
    expect(mine.value.authors[0]?.hasUnviewed).toBe(false);
    await eventually('all views are reported', async () =>
      (await statusesOfAuthor(ann, 'viewCount')).every(({ viewCount }) => viewCount === 1),
    );
    expect(mine.value.authors[0]?.hasUnviewed).toBe(false);
  });

  it('stay viewed if they are fetched again before the view is reported', async () => {
    const [me, ann] = await registerAll(node.url, 'me', 'ann');
    await befriend(me, ann);
    const seen = await postStatus(ann, { text: 'a1' });
    const proxy = await startProxy(portOf(node));
    const mine = await signIn(openAlone({ url: urlOf(proxy.port), requestTimeout: 1_000 }), me);
    // Views are lost on the way, over both transports.
    const isView = (text: unknown) => String(text).includes('arkStatusesViewed');
    const { fetch } = globalThis;
    const { send: sendFrame } = WebSocket.prototype;
    vi.spyOn(WebSocket.prototype, 'send').mockImplementation(function (this: WebSocket, ...args) {
      if (!isView(args[0])) Reflect.apply(sendFrame, this, args);
    });
    vi.spyOn(globalThis, 'fetch').mockImplementation(async (url, init) => {
      if (isView(init?.body)) throw new TypeError('The connection was lost.');
      return fetch(url, init);
    });
    mine.markViewed(seen.id);
    proxy.pointTo(1);
    proxy.cut();
    await postStatus(ann, { text: 'a2' });
    proxy.pointTo(portOf(node));
    await eventually('both are there', () => textsOf(mine).join() === 'ann*: a1, a2');
    expect(mine.value.authors[0]?.statuses.map(({ viewerHasViewed }) => viewerHasViewed)).toEqual([true, false]);
    expect((await statusesOfAuthor(ann, 'viewCount'))[0]?.viewCount).toBe(0);
    vi.restoreAllMocks();
    // A connection does not lose single frames: what was sent over the last one is sent again over the next one.
    proxy.cut();
    await eventually(
      'the view is reported',
      async () => (await statusesOfAuthor(ann, 'viewCount'))[0]?.viewCount === 1,
    );
  });

  it('stay viewed if a list arrives that was read before the view was reported', async () => {
    const [me, ann] = await registerAll(node.url, 'me', 'ann');
    await befriend(me, ann);
    const seen = await postStatus(ann, { text: 'a1' });
    const proxy = await startProxy(portOf(node));
    const mine = await signIn(openAlone({ url: urlOf(proxy.port) }), me);
    let wasUnviewed = false;
    const held = holdRequests('MarkStatusesViewed', 'OwnStatuses');
    mine.markViewed(seen.id);
    await eventually('the view is on its way', () => held.has('MarkStatusesViewed'));
    // So much happens without a connection that the client fetches everything again: first the list, then the own statuses.
    held.clear();
    proxy.pointTo(1);
    proxy.cut();
    await send(ann, await openDirect(ann, me), 'hello');
    await trimChangeLog(node.deps.database.db, 0);
    mine.subscribe(({ authors }) => {
      wasUnviewed ||= authors.some(({ hasUnviewed }) => hasUnviewed);
    });
    proxy.pointTo(portOf(node));
    // Which of the two is first depends on which of the streams is connected first.
    await eventually('the reset has removed the list', () => textsOf(mine).length === 0);
    await eventually('the list has arrived, and the view was not sent', () => held.size === 2);
    held.get('MarkStatusesViewed')?.();
    await eventually('the view is stored', async () => (await statusesOfAuthor(ann, 'viewCount'))[0]?.viewCount === 1);
    held.get('OwnStatuses')?.();
    await eventually('the list is shown', () => textsOf(mine).length === 1);
    expect(wasUnviewed).toBe(false);
  });

  it('wait on this device while there is no connection, also when the page is closed', async () => {
    const [me, ann] = await registerAll(node.url, 'me', 'ann');
    await befriend(me, ann);
    const seen = await postStatus(ann, { text: 'a1' });
    const proxy = await startProxy(portOf(node));
    const browser = openBrowser();
    const options = { url: urlOf(proxy.port), requestTimeout: 1_000 };
    const first = browser.open(options);
    const before = await signIn(first, me);
    proxy.pointTo(1);
    proxy.cut();
    before.markViewed(seen.id);
    await before.post({ text: 'later' });
    await before.post({
      text: 'with a picture',
      file: new Blob([new Uint8Array(await makePicture('jpeg'))], { type: 'image/jpeg' }),
    });
    await first.close();
    const second = browser.open(options);
    const after = statusesOf(second);
    // The feed is there without a connection.
    await eventually('the feed is shown', () => textsOf(after).join() === 'ann: a1');
    expect(after.pending.value.map(({ text, error }) => ({ text, error }))).toEqual([
      { text: 'later', error: undefined },
      { text: 'with a picture', error: undefined },
    ]);
    // Meanwhile, so much happens that the client cannot resume, and fetches everything again.
    await send(ann, await openDirect(ann, me), 'hello');
    await trimChangeLog(node.deps.database.db, 0);
    let wasUnviewed = false;
    after.subscribe(({ authors }) => {
      wasUnviewed ||= authors.some(({ hasUnviewed }) => hasUnviewed);
    });
    proxy.pointTo(portOf(node));
    await eventually('both are posted', () => after.pending.value.length === 0 && after.value.own.length === 2);
    expect((await statusesOfAuthor(me)).map(({ text }) => text)).toEqual(['later', 'with a picture']);
    await eventually(
      'the view is reported',
      async () => (await statusesOfAuthor(ann, 'viewCount'))[0]?.viewCount === 1,
    );
    expect(wasUnviewed).toBe(false);
  });

  it('are the same in all tabs, of which one has a connection', async () => {
    const [me, ann] = await registerAll(node.url, 'me', 'ann');
    await befriend(me, ann);
    const browser = openBrowser();
    const leading = browser.open({ url: node.url });
    await signIn(leading, me);
    const tab = browser.open({ url: node.url });
    const other = statusesOf(tab);
    const seen = await postStatus(ann, { text: 'a1' });
    await eventually('it is in the other tab', () => textsOf(other).join() === 'ann*: a1');
    await other.post({ text: 'from the other tab' });
    await eventually('it is posted', () => other.pending.value.length === 0 && other.value.own.length === 1);
    other.markViewed(seen.id);
    await eventually(
      'the view is reported',
      async () => (await statusesOfAuthor(ann, 'viewCount'))[0]?.viewCount === 1,
    );
    // The other tab takes over.
    await leading.close();
    await postStatus(ann, { text: 'a2' });
    await eventually('it is there', () => textsOf(other).join() === 'ann*: a1, a2');
  });

  it('show pictures when they are READY, and report those that are rejected', { timeout: 30_000 }, async () => {
    const [me, ann] = await registerAll(node.url, 'me', 'ann');
    await befriend(me, ann);
    const [mine, anns] = await Promise.all([open(me), open(ann)]);
    const parley = openAlone({ url: node.url });
    await signIn(parley, ann);
    const shown: (string | undefined)[] = [];
    const lines: string[][] = [];
    const show = followStatuses(parley, {
      showAuthors: (each) => lines.push(each),
      showStatus: (status) => shown.push(status?.src),
    });
    const bytes = new Uint8Array(await makePicture('jpeg'));
    await mine.post({
      file: new File([bytes], 'summit.jpg', { type: 'image/jpeg' }),
      fileDetails: { altText: 'A summit' },
    });
    await eventually('it is shown to others', () => anns.value.authors.length === 1);
    const [status] = anns.value.authors[0]?.statuses ?? [];
    expect(status).toMatchObject({ text: null, attachment: { state: 'READY', altText: 'A summit' } });
    await eventually('it is READY for the author', () => mine.value.own[0]?.attachment?.state === 'READY');
    await eventually('the token is known', () => mediaOf(parley).token.value !== undefined);
    if (status) show(status);
    expect(lines.at(-1)).toEqual([expect.stringMatching(/^new: me\S* 1$/)]);
    const response = await fetch(shown.at(-1) ?? '');
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'image/webp']);
    await eventually('it is viewed', () => mine.value.own[0]?.viewCount === 1);
    // It is not a picture, which only the server finds out.
    await mine.post({ text: 'oops', file: new File([new Uint8Array(500)], 'x.png', { type: 'image/png' }) });
    await eventually('it has failed', () => mine.pending.value[0]?.error !== undefined);
    const [failed] = mine.pending.value;
    expect(failed).toMatchObject({ text: 'oops', error: { code: 'REJECTED' } });
    expect(mine.value.own).toHaveLength(1);
    await mine.discard(failed?.clientStatusId ?? '');
    expect(mine.pending.value).toEqual([]);
    await expect(mine.post({ file: new Blob(['text'], { type: 'text/plain' }) })).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
    });
    // For one contact only.
    await postPhoto(parley, new File([bytes], 'p.jpg', { type: 'image/jpeg' }), [me.id]);
    await eventually('it arrives', () => textsOf(mine).join() === 'ann*: On the summit');
  });

  it('that the server refuses are kept with the reason', async () => {
    const [me] = await registerAll(node.url, 'me');
    const mine = await open(me);
    await mine.post({ text: 'x'.repeat(701) });
    await eventually('it has failed', () => mine.pending.value[0]?.error !== undefined);
    const [failed] = mine.pending.value;
    expect(failed).toMatchObject({
      canRetry: true,
      error: { code: 'BAD_USER_INPUT', field: 'input.text', limit: 'statusMaxChars' },
    });
    // What comes later does not wait for it.
    await mine.post({ text: 'short' });
    await eventually('it is posted', () => mine.value.own.length === 1);
    await mine.retry(failed?.clientStatusId ?? '');
    await eventually('it has failed again', () => mine.pending.value[0]?.error !== undefined);
    await mine.discard(failed?.clientStatusId ?? '');
    expect(mine.pending.value).toEqual([]);
  });

  it('have an audience, a preview of it, and mutes, which are the same on all devices', async () => {
    const [me, ann, ben] = await registerAll(node.url, 'me', 'ann', 'ben');
    await befriend(me, ann, ben);
    await postStatus(ann, { text: 'a1' });
    const [one, two] = await Promise.all([open(me), open(me)]);
    expect(one.settings.value).toEqual({ audience: { mode: 'CONTACTS', users: [] }, viewsReported: true });
    const all = await one.previewAudience();
    expect([all.totalCount, all.users.map(({ id }) => id).sort()]).toEqual([2, [ann.id, ben.id].sort()]);
    const audience = { mode: 'CONTACTS_EXCEPT' as const, userIds: [ann.id] };
    expect((await one.previewAudience(audience)).users.map(({ id }) => id)).toEqual([ben.id]);
    const page = await one.previewAudience(undefined, { first: 1 });
    expect(page.users).toHaveLength(1);
    const rest = await one.previewAudience(undefined, { first: 1, after: page.after });
    expect([...page.users, ...rest.users].map(({ id }) => id).sort()).toEqual([ann.id, ben.id].sort());
    expect(rest.after).toBeUndefined();
    await one.setAudience(audience);
    for (const each of [one, two]) {
      await eventually('it is known', () => each.settings.value?.audience.mode === 'CONTACTS_EXCEPT');
      expect(each.settings.value?.audience.users.map(({ id }) => id)).toEqual([ann.id]);
    }
    await one.mute(ann.id);
    for (const each of [one, two]) {
      await eventually('she is muted', () => each.value.authors[0]?.isMuted === true);
    }
    await postStatus(ben, { text: 'b1' });
    await postStatus(ann, { text: 'a2' });
    await eventually(
      'muted authors are last',
      () => two.value.authors.map(({ isMuted }) => isMuted).join() === 'false,true',
    );
    await one.mute(ann.id, false);
    for (const each of [one, two]) {
      await eventually('her statuses are there', () => textsOf(each).join('; ') === 'ann*: a1, a2; ben*: b1');
    }
    await one.setViewsReported(false);
    for (const each of [one, two]) {
      await eventually('it is known', () => each.settings.value?.viewsReported === false);
    }
  });

  it('are replied to in the direct conversation', async () => {
    const [me, ann] = await registerAll(node.url, 'me', 'ann');
    await befriend(me, ann);
    const status = await postStatus(ann, { text: 'Look at this' });
    const parley = openAlone({ url: node.url });
    const mine = await signIn(parley, me);
    const { conversationId } = await mine.reply(status.id, 'Nice!');
    const conversation = parley.conversation(conversationId);
    conversation.subscribe(() => {});
    const lastOf = () => conversation.value.rows.at(-1);
    await eventually('it is sent', () => lastOf()?.message !== undefined);
    expect(lastOf()?.message).toMatchObject({ text: 'Nice!', statusReply: { excerpt: 'Look at this' } });
    expect(await mine.statusOfMessage(lastOf()?.message?.id ?? '')).toBe(status.id);
    await attempt(ann, 'deleteStatus', { statusId: status.id });
    await eventually('it is gone', () => mine.value.authors.length === 0);
    expect(await mine.statusOfMessage(lastOf()?.message?.id ?? '')).toBeUndefined();
    await expect(mine.reply(status.id, 'Too late')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('disappear when they expire, by the clock of the server', { timeout: 30_000 }, async () => {
    const HOUR = 3_600_000;
    /** A connection to a server whose clock is an hour ahead of that of this device. */
    class AheadWebSocket extends WebSocket {
      constructor(...args: ConstructorParameters<typeof WebSocket>) {
        super(...args);
        const { set } = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'onmessage') ?? {};
        const later = (_: string, field: string, time: string) =>
          `"${field}":"${new Date(Date.parse(time) + HOUR).toISOString()}"`;
        const convert = (data: unknown) => String(data).replace(/"(serverTime|expiresAt)":"([^"]+)"/g, later);
        Object.defineProperty(this, 'onmessage', {
          set: (listener: (event: object) => void) =>
            set?.call(this, ({ data }: WebSocket.MessageEvent) => listener({ data: convert(data) })),
        });
      }
    }
    const short = await (await makePlace(mode)).start({ STATUS_TTL: '3s' });
    const [me, ann] = await registerAll(short.url, 'me', 'ann');
    await befriend(me, ann);
    const parley = openAlone({ url: short.url });
    vi.stubGlobal('WebSocket', AheadWebSocket);
    const mine = await signIn(parley, me);
    const { id, expiresAt } = await postStatus(ann, { text: 'soon gone' }, 'id expiresAt');
    await eventually('it is there', () => textsOf(mine).join() === 'ann*: soon gone');
    const status = mine.status(id);
    let goneAt = 0;
    status.subscribe((value) => {
      if (!value) goneAt = Date.now();
    });
    await eventually('it is gone', () => mine.value.authors.length === 0);
    expect(status.value).toBeUndefined();
    expect(Math.abs(goneAt - Date.parse(expiresAt))).toBeLessThan(2_000);
  });
});
