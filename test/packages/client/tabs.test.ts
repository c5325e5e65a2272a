import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { ConversationHandle, Parley } from '../../../packages/client/src/index.js';
import { Fenced, openStorage } from '../../../packages/client/src/storage.js';
import type { RunningNode } from '../../../src/server/start.js';
import { eventually, registerAll } from '../../support/client.js';
import { sharedNode } from '../../support/place.js';
import { openBrowser } from '../../support/tabs.js';
import { openDirect, send } from '../../support/talk.js';

const isLive = (parley: Parley) => parley.connection.value.status === 'live';
const texts = (handle: ConversationHandle) => handle.value.rows.map(({ text }) => text);

// Tabs share what the server sends, whatever its database.
describe('several tabs', () => {
  let node: RunningNode;

  beforeAll(async () => {
    node = await sharedNode('embedded');
  });

  async function meet() {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const id = await openDirect(ana, ben);
    const browser = openBrowser();
    const open = () => browser.open({ url: node.url });
    const show = (parley: Parley) => {
      const conversation = parley.conversation(id);
      conversation.subscribe(() => {});
      return conversation;
    };
    return { ana, ben, id, open, show };
  }

  it('share one socket, and show the same', async () => {
    await eventually('the sockets of other tests are closed', () => node.openSockets() === 0);
    const { ana, ben, id, open, show } = await meet();
    const tabs = [open(), open(), open()];
    await tabs[0]?.session.useTokens({ accessToken: ben.token, refreshToken: ben.refreshToken });
    await eventually('all are live', () => tabs.every(isLive));
    const shown = tabs.map(show);
    await send(ana, id, 'Hello');
    await eventually('all show it', () => shown.every((each) => texts(each).includes('Hello')));
    const late = open();
    await eventually('a new tab knows that the data is current', () => isLive(late));
    await eventually('it shows the same', () => texts(show(late)).includes('Hello'));
    expect(node.openSockets()).toBe(1);
    const notified: unknown[] = [];
    for (const tab of [...tabs, late]) tab.onMessage(({ text }) => notified.push(text));
    await shown[2]?.send('From a tab without a socket');
    await send(ana, id, 'Bye');
    await eventually('both arrive', () => shown.every((each) => texts(each).length === 3));
    expect(texts(show(late))).toEqual(expect.arrayContaining(['From a tab without a socket', 'Bye']));
    await eventually('one tab is notified', () => notified.length > 0);
    expect(notified).toEqual(['Bye']);
  });

  it('show who is typing, also those that were opened later or whose leader is closed', async () => {
    const { ana, ben, id, open, show } = await meet();
    const first = open();
    await first.session.useTokens({ accessToken: ben.token, refreshToken: ben.refreshToken });
    await eventually('the first one is live', () => isLive(first));
    const shown = show(first);
    const type = 'mutation ($input: SetTypingInput!) { setTyping(input: $input) { accepted } }';
    const names = (handle: ConversationHandle) => handle.value.typing.map(({ username }) => username);
    await ana.ask(type, { input: { conversationId: id, isTyping: true } });
    await eventually('the first one shows it', () => names(shown).length > 0);
    const late = show(open());
    await eventually('the late one shows it', () => names(late).length > 0);
    expect(names(late)).toEqual([ana.username]);
    await first.close();
    await eventually('it ends', () => names(late).length === 0);
  });

  it('continue with another leader when the first one is closed', async () => {
    const { ana, ben, id, open, show } = await meet();
    const [first, second] = [open(), open()];
    await first.session.useTokens({ accessToken: ben.token, refreshToken: ben.refreshToken });
    await eventually('both are live', () => isLive(first) && isLive(second));
    const shown = show(second);
    await first.close();
    const since = Date.now();
    await send(ana, id, 'after the change');
    await eventually('the other tab shows it', () => texts(shown).includes('after the change'));
    expect(Date.now() - since).toBeLessThan(3_000);
    await eventually('it is live', () => isLive(second));
  });

  it('replace a leader that no longer answers, which then writes nothing', async () => {
    const { ana, ben, id, open, show } = await meet();
    const url = node.url;
    // A frozen tab: it keeps its lock and its epoch, and does not answer.
    const storage = await openStorage(`parley:${url}`);
    const epoch = await storage.nextEpoch();
    void navigator.locks.request(`parley:${url}`, () => new Promise(() => {})).catch(() => {});
    const tab = open();
    await tab.session.useTokens({ accessToken: ben.token, refreshToken: ben.refreshToken });
    const shown = show(tab);
    await eventually('the tab is live', () => isLive(tab));
    await send(ana, id, 'Hello');
    await eventually('it shows the message', () => texts(shown).includes('Hello'));
    await expect(storage.write({ set: { 'cursor:messages': 'old' } }, epoch)).rejects.toBeInstanceOf(Fenced);
    expect(await storage.value('cursor:messages')).not.toBe('old');
    storage.close();
  });

  it('keep a leader that is hidden and only answers', async () => {
    const { ben, open } = await meet();
    const [first, second] = [open(), open()];
    await first.session.useTokens({ accessToken: ben.token, refreshToken: ben.refreshToken });
    await eventually('both are live', () => isLive(first) && isLive(second));
    const request = vi.spyOn(navigator.locks, 'request');
    const asked = new BroadcastChannel(`parley:${node.url}`);
    let answers = 0;
    asked.onmessage = (event) => {
      answers += Number((event as MessageEvent<{ answer?: boolean }>).data.answer ?? false);
    };
    await eventually('the leader has answered often', () => answers >= 4);
    expect(request.mock.calls.filter(([, options]) => (options as LockOptions).steal)).toEqual([]);
    asked.close();
  });

  it('replace a hidden leader that waits for its next attempt, but not one that is connected', async () => {
    const { ben, open } = await meet();
    const name = `parley:${node.url}`;
    void navigator.locks.request(name, () => new Promise(() => {})).catch(() => {});
    const leader = new BroadcastChannel(name);
    let status = 'connecting';
    let questions = 0;
    leader.onmessage = (event) => {
      if (!(event as MessageEvent<{ ask?: boolean }>).data.ask) return;
      questions += 1;
      leader.postMessage({ change: { set: { '~connection': { status, since: 0 } } }, isResponse: true });
      leader.postMessage({ answer: true, isHidden: true });
    };
    const tab = open();
    await tab.session.useTokens({ accessToken: ben.token, refreshToken: ben.refreshToken });
    await eventually('it has asked often', () => questions >= 5);
    expect(tab.connection.value.status).toBe('connecting');
    status = 'waiting';
    const since = Date.now();
    await eventually('the tab is live', () => isLive(tab));
    expect(Date.now() - since).toBeLessThan(6_000);
    leader.close();
  });
});
