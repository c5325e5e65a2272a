import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { ParleyError } from '../../../packages/client/src/index.js';
import { createSessionManager } from '../../../packages/client/src/session.js';
import { noStorage, openStorage } from '../../../packages/client/src/storage.js';
import { createStore } from '../../../packages/client/src/store.js';
import type { RunningNode } from '../../../src/server/start.js';
import { ask, eventually, register } from '../../support/client.js';
import { detailModes, sharedNode } from '../../support/place.js';
import { openAlone, openBrowser } from '../../support/tabs.js';

/** A session whose tokens are stored when the returned function is called. */
function slowSession() {
  const store = createStore();
  let finish = () => {};
  store.storage = {
    ...noStorage,
    write: () =>
      new Promise((resolve) => {
        finish = resolve;
      }),
  };
  store.state.set('~loaded', true);
  const send = async () => ({ data: null });
  const { session } = createSessionManager(store, {
    ...{ name: 'test', send: send as never, loaded: async () => {}, getToken: undefined },
  });
  return { session, finish: () => finish() };
}

it('a session begins after its tokens have been stored', async () => {
  const { session, finish } = slowSession();
  const received: string[] = [];
  session.subscribe(({ status }) => received.push(status));
  const begun = session.useTokens({ accessToken: 'a', refreshToken: 'r' });
  await new Promise((resolve) => setImmediate(resolve));
  expect(received).toEqual(['signedOut']);
  finish();
  await begun;
  await eventually('it is signed in', () => received.at(-1) === 'signedIn');
});

const ME = 'query Me { viewer { user { username } } }';
const password = 'correct horse';
let people = 0;
const newName = () => `session_${++people}`;

describe.each(detailModes)('the session of a client in %s mode', (mode) => {
  let node: RunningNode;

  beforeAll(async () => {
    node = await sharedNode(mode);
  });
  afterEach(() => vi.restoreAllMocks());

  const account = () => {
    const username = newName();
    return { username, email: `${username}@example.com`, password };
  };
  const refreshes = (spy: { mock: { calls: unknown[][] } }) =>
    spy.mock.calls.filter(([, init]) => String((init as RequestInit)?.body).includes('mutation RefreshSession'));

  it('signs up, shows the viewer, and is continued by the next page', async () => {
    const browser = openBrowser();
    const parley = browser.open({ url: node.url });
    const input = account();
    await parley.session.signUp(input);
    expect(parley.session.value).toMatchObject({ status: 'signedIn', viewer: { user: { username: input.username } } });
    await parley.close();
    const next = browser.open({ url: node.url });
    expect(next.session.value).toEqual({ status: 'loading' });
    await eventually('it is signed in', () => next.session.value.status === 'signedIn');
    expect(await next.request(ME)).toEqual({ viewer: { user: { username: input.username } } });
    expect(next.session.value).toMatchObject({ viewer: { email: input.email } });
  });

  it('reports what is wrong as an error with its code and field', async () => {
    const parley = openAlone({ url: node.url });
    const input = account();
    await parley.session.signUp(input);
    const failure = parley.session.signUp(input).catch((error) => error);
    expect(await failure).toBeInstanceOf(ParleyError);
    expect(await failure).toMatchObject({ code: 'CONFLICT', field: 'input.username' });
    const wrong = parley.session.signIn({ usernameOrEmail: input.username, password: 'wrong password' });
    await expect(wrong).rejects.toMatchObject({ code: 'BAD_USER_INPUT', field: undefined });
    const unreachable = openAlone({ url: 'http://127.0.0.1:1/graphql' });
    await expect(unreachable.session.signUp(input)).rejects.toMatchObject({ code: 'NETWORK' });
    await expect(parley.request({ kind: 'Document' } as never)).rejects.toThrow(/must be a string/);
  });

  it('refreshes once for all tabs', async () => {
    const browser = openBrowser();
    const person = await register(node.url, 'ana');
    const tabs = [1, 2, 3, 4, 5].map(() => browser.open({ url: node.url }));
    await tabs[0]?.session.useTokens({ accessToken: person.token, refreshToken: person.refreshToken });
    await eventually('all are signed in', () => tabs.every(({ session }) => session.value.status === 'signedIn'));
    const fetched = vi.spyOn(globalThis, 'fetch');
    await tabs[0]?.session.useTokens({ accessToken: 'expired', refreshToken: person.refreshToken });
    const answers = await Promise.all(tabs.map((tab) => tab.request(ME)));
    expect(answers).toEqual(tabs.map(() => ({ viewer: { user: { username: person.username } } })));
    expect(refreshes(fetched)).toHaveLength(1);
  });

  it('refreshes without Web Locks too', async () => {
    const browser = openBrowser({ isSecure: false });
    const person = await register(node.url, 'ana');
    const parley = browser.open({ url: node.url });
    await parley.session.useTokens({ accessToken: 'expired', refreshToken: person.refreshToken });
    const fetched = vi.spyOn(globalThis, 'fetch');
    await Promise.all([parley.request(ME), parley.request(ME), parley.request(ME)]);
    expect(refreshes(fetched)).toHaveLength(1);
  });

  it('is over when the server has ended it, and keeps the data for the same user', async () => {
    const browser = openBrowser();
    const parley = browser.open({ url: node.url });
    const input = account();
    await parley.session.signUp(input);
    await eventually('it is live', () => parley.connection.value.status === 'live');
    const { viewer } = await parley.request<{ viewer: { sessions: { id: string }[] } }>(
      'query Sessions { viewer { sessions { id } } }',
    );
    const [session] = viewer.sessions;
    const end = 'mutation End($input: LogoutInput) { logout(input: $input) { sessionId } }';
    await parley.request(end, { input: { sessionId: session?.id } });
    await eventually('it is over', () => parley.session.value.status === 'signedOut');
    expect(parley.session.value).toEqual({ status: 'signedOut', ended: true });
    await eventually('the connection is off', () => parley.connection.value.status === 'off');
    const storage = await openStorage(`parley:${node.url}`);
    expect((await storage.load()).entities).not.toEqual([]);
    await expect(parley.request(ME)).resolves.toEqual({ viewer: null });
    await parley.session.signIn({ usernameOrEmail: input.username, password });
    await eventually('it is live again', () => parley.connection.value.status === 'live');
    storage.close();
  });

  it('removes everything from the device when the user signs out, in all tabs', async () => {
    const browser = openBrowser();
    const [parley, other] = [browser.open({ url: node.url }), browser.open({ url: node.url })];
    await parley.session.signUp(account());
    await eventually('it is live', () => other.connection.value.status === 'live');
    await eventually('the list is loaded', () => other.conversations.value.isLoaded);
    await parley.session.signOut();
    expect(parley.session.value).toEqual({ status: 'signedOut', ended: false });
    await eventually('the other tab is signed out', () => other.session.value.status === 'signedOut');
    await eventually('there is no socket', () => node.openSockets() === 0);
    const storage = await openStorage(`parley:${node.url}`);
    await eventually('nothing is stored', async () => {
      const { values, entities } = await storage.load();
      return entities.length === 0 && [...values.keys()].every((key) => key === 'epoch');
    });
    expect(other.conversations.value).toEqual({ conversations: [], hasMore: false, isLoaded: false });
    storage.close();
  });

  it('renews its token over the open socket', async () => {
    const short = await sharedNode(mode, { ACCESS_TOKEN_TTL: '6s' });
    const browser = openBrowser();
    const parley = browser.open({ url: short.url });
    await parley.session.signUp(account());
    await eventually('it is live', () => parley.connection.value.status === 'live');
    const { since } = parley.connection.value;
    const fetched = vi.spyOn(globalThis, 'fetch');
    const storage = await openStorage(`parley:${short.url}`);
    const token = async () => ((await storage.value('session')) as { accessToken: string }).accessToken;
    const tokens = new Set<string>();
    await eventually('it is renewed twice', async () => tokens.add(await token()).size === 3);
    expect(parley.connection.value).toEqual({ status: 'live', since });
    expect(refreshes(fetched)).toEqual([]);
    expect(await parley.request(ME)).toHaveProperty('viewer.user');
    storage.close();
  });

  it('uses tokens of getToken, and asks for another one when the server rejects it', async () => {
    openBrowser();
    const person = await register(node.url, 'ana');
    const tokens = ['rejected', person.token, null];
    const parley = openAlone({ url: node.url, getToken: () => tokens.shift() });
    expect(await parley.request(ME)).toEqual({ viewer: { user: { username: person.username } } });
    await eventually('it is live', () => parley.connection.value.status === 'live');
    expect(parley.session.value).toMatchObject({ status: 'signedIn', viewer: { user: { id: person.id } } });
    const without = openAlone({ url: node.url, getToken: async () => undefined });
    await eventually('it is signed out', () => without.session.value.status === 'signedOut');
  });

  it('asks getToken again after it has failed', async () => {
    const browser = openBrowser();
    const person = await register(node.url, 'ana');
    let failures = 0;
    let isReachable = false;
    const getToken = async () => {
      if (isReachable) return person.token;
      failures += 1;
      throw new TypeError('The identity provider could not be reached.');
    };
    const parley = browser.open({ url: node.url, getToken });
    expect(parley.session.value).toEqual({ status: 'loading' });
    await eventually('it has failed twice', () => failures >= 2);
    expect(parley.session.value).toEqual({ status: 'loading' });
    isReachable = true;
    await eventually('it is live', () => parley.connection.value.status === 'live');
    expect(parley.session.value).toMatchObject({ status: 'signedIn', viewer: { user: { id: person.id } } });
    await parley.close();
    isReachable = false;
    const next = browser.open({ url: node.url, getToken });
    await eventually('the stored data is shown', () => next.session.value.status === 'signedIn');
    expect(next.session.value).toMatchObject({ viewer: { user: { id: person.id } } });
  });

  it('continues with another token of getToken when the first one expires', async () => {
    const short = await sharedNode(mode, { ACCESS_TOKEN_TTL: '3s' });
    openBrowser();
    const person = await register(short.url, 'ana');
    let { token, refreshToken } = person;
    let isLate = true;
    const getToken = async () => {
      const { errors } = await person.at(short.url).request(ME);
      // Identity providers often return the same token until it has expired on their clock.
      if (!errors || isLate) {
        isLate = errors === undefined;
        return token;
      }
      const { refreshSession } = await ask(
        short.url,
        'mutation ($input: RefreshSessionInput!) { refreshSession(input: $input) { tokens { accessToken refreshToken } } }',
        { input: { refreshToken } },
      );
      ({ accessToken: token, refreshToken } = refreshSession.tokens);
      return token;
    };
    const parley = openAlone({ url: short.url, getToken });
    const received = new Set<string>();
    parley.session.subscribe(({ status }) => received.add(status));
    await eventually('it is live', () => parley.connection.value.status === 'live');
    await eventually('there is another token', () => token !== person.token);
    await eventually('it is live again', () => parley.connection.value.status === 'live');
    expect([...received]).toEqual(['loading', 'signedIn']);
  });
});
