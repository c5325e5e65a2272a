import { IDBFactory, IDBKeyRange } from 'fake-indexeddb';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { cover, rangeAt } from '../../../packages/client/src/ranges.js';
import { createState } from '../../../packages/client/src/state.js';
import { openStorage } from '../../../packages/client/src/storage.js';
import { createStore, normalize, proofOf } from '../../../packages/client/src/store.js';

const user = (id: string, displayName = id) => ({ __typename: 'User', id, displayName });
const message = (seq: number, more: object = {}) => ({
  ...{ __typename: 'Message', id: `m${seq}`, seq, text: `text ${seq}`, replyCount: 0, sender: user('u1', 'Ana') },
  ...more,
});

describe('ranges', () => {
  it('are joined when they overlap or touch', () => {
    let ranges = cover([], 5, 7);
    ranges = cover(ranges, 1, 2);
    expect(ranges).toEqual([
      [1, 2],
      [5, 7],
    ]);
    expect(cover(ranges, 3, 4)).toEqual([[1, 7]]);
    expect(cover(ranges, 8, 8)).toEqual([
      [1, 2],
      [5, 8],
    ]);
    expect(cover(ranges, 0, 9)).toEqual([[0, 9]]);
    expect(cover(ranges, 6, 7)).toBe(ranges);
    expect(cover(ranges, 9, 8)).toBe(ranges);
    expect(rangeAt(ranges, 6)).toEqual([5, 7]);
    expect(rangeAt(ranges, 3)).toBeUndefined();
  });
});

describe('a state', () => {
  it('notifies once per microtask, and only if the result has changed', async () => {
    const state = createState();
    const name = state.derive(() => ({ name: state.get('name') }));
    const received: unknown[] = [];
    const stop = name.subscribe((value) => received.push(value));
    state.set('name', 'a');
    state.set('name', 'b');
    state.set('other', 1);
    await Promise.resolve();
    expect(received).toEqual([{ name: undefined }, { name: 'b' }]);
    expect(name.value).toBe(received[1]);
    stop();
    state.set('name', 'c');
    await Promise.resolve();
    expect(received).toHaveLength(2);
  });

  it('notifies when another reader has computed the new value before', async () => {
    const state = createState();
    const chosen = state.derive(() => (state.get('isFirst') ? state.get('first') : state.get('second')));
    state.set('isFirst', true);
    state.set('first', 1);
    state.set('second', 2);
    const received: unknown[] = [];
    chosen.subscribe((value) => received.push(value));
    await Promise.resolve();
    state.set('first', 3);
    state.set('isFirst', false);
    expect(chosen.value).toBe(2);
    await Promise.resolve();
    expect(received).toEqual([1, 2]);
  });
});

describe('a long list', () => {
  it('is read again without checking everything that its parts have read', () => {
    const state = createState();
    const parts = Array.from({ length: 500 }, (_, index) =>
      state.cached(() => ({ all: Array.from({ length: 10 }, (_, key) => state.get(`${index}:${key}`)) })),
    );
    const list = state.derive(() => parts.map((part) => part()));
    const before = list.value;
    state.set('7:3', 'new');
    const looked = vi.spyOn(Map.prototype, 'get');
    const after = list.value;
    const count = looked.mock.calls.length;
    looked.mockRestore();
    expect(after.filter((part, index) => part !== before[index])).toEqual([
      { all: [undefined, undefined, undefined, 'new', ...Array(6).fill(undefined)] },
    ]);
    expect(count).toBeLessThan(100);
  });
});

describe('a store', () => {
  it('keeps each object once, and shows its changes wherever it is referred to', async () => {
    const store = createStore();
    await store.commit({ put: normalize([message(1), message(2, { replyTo: message(1) })], 'c') });
    const [first, second] = [store.read('m1'), store.read('m2')];
    expect(second).toMatchObject({ conversationId: 'c', sender: { displayName: 'Ana' }, replyTo: { text: 'text 1' } });
    await store.commit({ put: normalize({ __typename: 'Message', id: 'm1', text: 'edited' }) });
    expect(store.read('m2')).toMatchObject({ replyTo: { text: 'edited' } });
    await store.commit({ put: normalize(user('u1', 'Anna')) });
    expect(store.read('m1')).toMatchObject({ text: 'edited', sender: { displayName: 'Anna' } });
    expect(store.read('m1')).not.toBe(first);
    const unchanged = store.read('m1');
    await store.commit({ put: normalize([message(1, { text: 'edited', sender: user('u1', 'Anna') })], 'c') });
    expect(store.read('m1')).toBe(unchanged);
    expect(store.places('c').map(({ seq }) => seq)).toEqual([1, 2]);
  });

  it('does not let an older response replace what a stream has delivered', async () => {
    const store = createStore();
    await store.commit({ put: normalize(message(1), 'c') });
    const since = store.now();
    await store.commit({ put: normalize({ __typename: 'Message', id: 'm1', text: 'from the stream' }) });
    await store.commit({ put: normalize(message(1, { pinnedAt: 'now' }), 'c'), cover: [['c', 1, 1]] }, since);
    expect(store.read('m1')).toMatchObject({ text: 'from the stream', pinnedAt: 'now' });
    expect(store.ranges('c')).toEqual([[1, 1]]);
  });

  it('drops a response that began before the messages were removed', async () => {
    const store = createStore();
    const since = store.now();
    await store.commit({ forget: ['c'] });
    await store.commit({ put: normalize([message(1)], 'c'), cover: [['c', 1, 1]] }, since);
    expect([store.read('m1'), store.ranges('c')]).toEqual([undefined, []]);
    await store.commit({ reset: 'data' });
    await store.commit({ put: normalize([message(1)], 'd'), cover: [['d', 1, 1]] }, since);
    expect([store.read('m1'), store.ranges('d')]).toEqual([undefined, []]);
  });

  it('keeps the newest messages of a long conversation in memory, with what they quote', async () => {
    const store = createStore();
    store.held.add('c');
    const quoting = message(2_500, { replyTo: { __typename: 'Message', id: 'm1' } });
    const all = [...Array.from({ length: 2_499 }, (_, index) => message(index + 1)), quoting];
    await store.commit({ put: normalize(all, 'c'), cover: [['c', 0, 2_500]] });
    expect(store.places('c')).toHaveLength(2_500);
    store.held.delete('c');
    await store.commit({ put: normalize(message(2_501), 'c'), cover: [['c', 2_501, 2_501]] });
    expect(store.places('c').map(({ seq }) => seq)).toEqual(Array.from({ length: 1_000 }, (_, index) => 1_502 + index));
    expect(store.ranges('c')).toEqual([[1_502, 2_501]]);
    expect([store.read('m1501'), store.read('m2')]).toEqual([undefined, undefined]);
    expect(store.read('m2500')).toMatchObject({ replyTo: { text: 'text 1' } });
  });

  describe('with a database', () => {
    beforeEach(() => {
      vi.stubGlobal('indexedDB', new IDBFactory());
      vi.stubGlobal('IDBKeyRange', IDBKeyRange);
    });

    async function open() {
      const store = createStore();
      store.storage = await openStorage('test');
      await store.load();
      return store;
    }

    it('loads the messages of a range, as far as all of them are stored', async () => {
      const store = await open();
      const put = normalize(
        [1, 2, 3, 5, 6, 8].map((seq) => message(seq)),
        'c',
      );
      // Message 4 was erased; message 7 is not known.
      await store.commit({ put, cover: [['c', 1, 6]], set: { 'cursor:messages': 'x', '~typing:c': {} } });
      await store.commit({
        put: normalize({ ...message(6), replyTo: { __typename: 'Message', id: 'm8', seq: 8 } }, 'c'),
      });
      const next = await open();
      expect([next.state.get('cursor:messages'), next.state.get('~typing:c')]).toEqual(['x', undefined]);
      expect(next.ranges('c')).toEqual([]);
      expect(await next.loadRange('c', 6, 3, 9)).toBe(true);
      expect(next.ranges('c')).toEqual([[3, 6]]);
      expect(next.read('m6')).toMatchObject({ replyTo: { text: 'text 8' } });
      expect(next.read('m2')).toBeUndefined();
      expect(await next.loadRange('c', 7, 1, 9)).toBe(false);
    });

    it('keeps the attachments of a message when a quote or a preview of it arrives', async () => {
      const store = await open();
      const picture = { id: 'a', kind: 'IMAGE', state: 'READY', path: '/media/a' };
      const preview = { __typename: 'Message', id: 'm1', seq: 1, attachments: [{ kind: 'IMAGE' }] };
      await store.commit({ put: normalize(message(1, { attachments: [picture] }), 'c'), cover: [['c', 0, 1]] });
      await store.commit({
        put: normalize(message(2, { attachments: [], replyTo: preview }), 'c'),
        cover: [['c', 2, 2]],
      });
      await store.commit({ put: normalize({ __typename: 'Conversation', id: 'c', lastMessage: preview }) });
      const next = await open();
      await next.loadRange('c', 2, 1, 2);
      for (const each of [store, next]) expect(each.read('m1')).toMatchObject({ attachments: [picture] });
      // A message that is not known yet has those of the preview.
      await store.commit({ put: normalize({ ...preview, id: 'm9' }, 'c') });
      expect(store.read('m9')).toMatchObject({ attachments: [{ kind: 'IMAGE' }] });
      await store.commit({ put: normalize(message(1, { attachments: [] }), 'c') });
      expect(store.read('m1')).toMatchObject({ attachments: [] });
    });

    it('loads messages again that it has removed from memory, also one that a message in memory quotes', async () => {
      const store = await open();
      const quoting = message(2_001, { replyTo: { __typename: 'Message', id: 'm900' } });
      const put = normalize([...Array.from({ length: 2_000 }, (_, index) => message(index + 1)), quoting], 'c');
      await store.commit({ put, cover: [['c', 0, 2_001]] });
      expect(store.ranges('c')).toEqual([[1_002, 2_001]]);
      store.held.add('c');
      expect(await store.loadRange('c', 1_001, 802, 1_001)).toBe(true);
      expect(store.ranges('c')).toEqual([[802, 2_001]]);
      expect(store.places('c').map(({ seq }) => seq)).toEqual(Array.from({ length: 1_200 }, (_, index) => 802 + index));
    });

    it('stores a change as a whole or not at all', async () => {
      const store = await open();
      const broken = { __typename: 'Message', id: 'm2', seq: 2, conversationId: 'c', text: () => {} };
      const put = [...normalize([message(1)], 'c'), broken as never];
      await expect(store.storage.write({ put, set: { 'cursor:messages': 'x' } })).rejects.toThrow();
      expect(await store.storage.byId(['m1'])).toEqual([]);
      expect(await store.storage.value('cursor:messages')).toBeUndefined();
    });

    it('continues in memory if nothing can be stored, and leaves no gap in what is stored', async () => {
      const store = await open();
      await store.commit({ put: normalize([message(1)], 'c'), set: { 'cursor:messages': 'x', session: 's' } });
      const broken = { ...message(2), conversationId: 'c', text: () => {} };
      await store.commit({ put: [broken as never], set: { 'cursor:messages': 'y' } });
      await store.commit({ put: normalize([message(3)], 'c'), set: { 'cursor:messages': 'z' } });
      expect(store.places('c').map(({ seq }) => seq)).toEqual([1, 2, 3]);
      const next = await open();
      expect(next.state.get('cursor:messages')).toBeUndefined();
      expect(next.state.get('session')).toBe('s');
    });
  });
});

it('shows opened content only as long as everything that was verified is the same', () => {
  const store = createStore();
  const message = {
    ...{ id: 'm', __typename: 'Message', conversationId: 'c', clientMessageId: 'k', text: 'of the server' },
    ...{ sender: { __ref: 'ana' }, replyTo: null, editedAt: null, encrypted: { content: 'sealed' } },
  };
  const shown = { text: 'opened', protection: 'protected' };
  store.apply({ put: [message] });
  expect(store.read('m')).toMatchObject({ text: null, attachments: [], protection: 'opening' });
  const opened = { ...message, protection: { proof: proofOf(message), shown } };
  for (const change of [
    { encrypted: { content: 'other' } },
    { sender: { __ref: 'ben' } },
    { replyTo: { __ref: 'n' } },
    { editedAt: '2026-12-01T00:00:00Z' },
    { clientMessageId: 'other' },
    { conversationId: 'd' },
  ]) {
    store.apply({ put: [opened] });
    expect(store.read('m')).toMatchObject(shown);
    store.apply({ put: [{ ...message, ...change }] });
    expect(store.read('m')).toMatchObject({ text: null, attachments: [], protection: 'opening' });
  }
});
