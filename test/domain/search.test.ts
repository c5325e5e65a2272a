import { beforeAll, describe, expect, it } from 'vitest';
import { indexing } from '../../src/domain/search/search.index.js';
import type { RunningNode } from '../../src/server/start.js';
import { type Json, type Person, register } from '../support/client.js';
import { rowId } from '../support/durable-streams.js';
import { makePicture, makeRecording, sendWith, uploaded } from '../support/media.js';
import { inOneMode, modes, sharedNode } from '../support/place.js';
import { attempt, createGroup, edit, openDirect, REMOVE_MEMBER, remove, send } from '../support/talk.js';

const SEARCH = `query ($query: String!, $conversationId: ID, $first: Int, $after: String) {
  searchMessages(query: $query, conversationId: $conversationId, first: $first, after: $after) {
    edges { cursor snippet plainSnippet { text matches { start end } } node { id text seq sender { username } conversation { id } } }
    nodes { text }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}`;

const page = async (person: Person, query: string, more: Json = {}): Promise<Json> =>
  (await person.ask(SEARCH, { query, ...more })).searchMessages;
/** The texts of the results, in their order. */
const found = async (person: Person, query: string, more: Json = {}): Promise<string[]> =>
  (await page(person, query, more)).edges.map(({ node }: Json) => node.text);
const snippets = async (person: Person, query: string): Promise<string[]> =>
  (await page(person, query)).edges.map(({ snippet }: Json) => snippet);
const error = async (person: Person, query: string, more: Json = {}): Promise<string | undefined> => {
  const [first] = (await person.request(SEARCH, { query, ...more })).errors ?? [];
  return first && [first.extensions.code, first.extensions.field].join(' ');
};

let names = 0;
/** Registers users without other conversations. */
const people = async ({ url }: RunningNode, count: number): Promise<Person[]> => {
  names += 1;
  return Promise.all(Array.from({ length: count }, (_, index) => register(url, `seeker${names}.${index}`)));
};

describe.each(modes)('a search for messages in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  beforeAll(async () => {
    node = await sharedNode(mode);
  });

  it('finds all words regardless of case and accents, and the last one as a prefix', async () => {
    const [ana, ben] = (await people(node, 2)) as [Person, Person];
    const direct = await openDirect(ana, ben);
    for (const text of ['Café am Fluß', 'Das CAFE ist zu', 'Тихий Дон', 'Καλημέρα σας', 'nothing here'])
      await send(ana, direct, text);
    expect(await found(ben, 'cafe')).toEqual(['Das CAFE ist zu', 'Café am Fluß']);
    expect(await found(ben, 'CAFÉ zu')).toEqual(['Das CAFE ist zu']);
    expect(await found(ben, 'ca')).toEqual(['Das CAFE ist zu', 'Café am Fluß']);
    expect(await found(ben, 'ca zu')).toEqual([]);
    expect(await found(ben, 'тихий до')).toEqual(['Тихий Дон']);
    expect(await found(ben, 'καλημερα')).toEqual(['Καλημέρα σας']);
    expect(await found(ben, 'n')).toEqual([]);
  });

  itOnce('finds phrases and excludes negated words', async () => {
    const [ana, ben] = (await people(node, 2)) as [Person, Person];
    const direct = await openDirect(ana, ben);
    for (const text of ['the red house', 'house red, the', 'a red-house.example thing', 'the red boat'])
      await send(ana, direct, text);
    expect(await found(ben, '"red house"')).toEqual(['a red-house.example thing', 'the red house']);
    expect(await found(ben, '"red hou')).toEqual(['a red-house.example thing', 'the red house']);
    expect(await found(ben, '"red hou"')).toEqual([]);
    expect(await found(ben, 'red-house')).toEqual(['a red-house.example thing', 'the red house']);
    expect(await found(ben, 'red -boat')).toEqual(['a red-house.example thing', 'house red, the', 'the red house']);
    expect(await found(ben, 'house -"red house"')).toEqual(['house red, the']);
  });

  it('finds parts of text in scripts without spaces', async () => {
    const [ana, ben] = (await people(node, 2)) as [Person, Person];
    const direct = await openDirect(ana, ben);
    const texts = ['我在北京大学学习', '東京タワーに行きました', 'ผมชอบกินข้าวผัด', '京北', 'iPhone手机壳', 'ｶﾞｷﾞｸﾞ'];
    for (const text of texts) await send(ana, direct, text);
    expect(await found(ben, '北京')).toEqual(['我在北京大学学习']);
    expect(await found(ben, '大学学')).toEqual(['我在北京大学学习']);
    expect(await found(ben, '习')).toEqual(['我在北京大学学习']);
    expect((await found(ben, '京')).sort()).toEqual(['京北', '我在北京大学学习', '東京タワーに行きました'].sort());
    expect(await found(ben, 'タワー')).toEqual(['東京タワーに行きました']);
    expect(await found(ben, '東京 行き')).toEqual(['東京タワーに行きました']);
    expect(await found(ben, 'ข้าว')).toEqual(['ผมชอบกินข้าวผัด']);
    expect(await found(ben, '"iphone 手机"')).toEqual(['iPhone手机壳']);
    expect(await found(ben, 'ガギ')).toEqual(['ｶﾞｷﾞｸﾞ']);
    expect(await found(ben, '北大')).toEqual([]);
    expect(await snippets(ben, '大学')).toEqual(['我在北京«大学»学习']);
    expect((await snippets(ben, '京')).sort()).toEqual(
      ['«京»北', '我在北«京»大学学习', '東«京»タワーに行きました'].sort(),
    );
  });

  itOnce('finds attachments by their kind, file name and alternative text, also after an edit', async () => {
    const [ana, ben] = (await people(node, 2)) as [Person, Person];
    const direct = await openDirect(ana, ben);
    const sendFile = async (kind: string, bytes: Buffer, input: Json, more: Json = {}) => {
      const { id } = await uploaded(node.url, ana, bytes, { kind, ...input });
      return (await sendWith(ana, direct, [id], more)).data.sendMessage.message;
    };
    const picture = { filename: 'IMG_2031.png', altText: 'Two cats on a roof' };
    const image = await sendFile('IMAGE', await makePicture('png'), picture);
    const file = await sendFile(
      'FILE',
      Buffer.from('x'),
      { filename: 'Budget-plan.xlsx' },
      { text: 'see the numbers' },
    );
    await sendFile('VOICE', makeRecording(), { filename: 'voice.wav' });
    await send(ana, direct, 'the budget');
    const seqs = async (query: string) => (await page(ben, query)).edges.map(({ node: { seq } }: Json) => seq).sort();
    expect(await seqs('has:image')).toEqual([1]);
    expect(await seqs('has:files')).toEqual([2]);
    expect(await seqs('has:voice')).toEqual([3]);
    expect(await seqs('has:audio')).toEqual([3]);
    expect(await seqs('has:video')).toEqual([]);
    expect(await seqs('has:attachment')).toEqual([1, 2, 3]);
    expect(await seqs('budget')).toEqual([2, 4]);
    expect(await seqs('budget -has:attachment')).toEqual([4]);
    expect(await seqs('numbers xlsx')).toEqual([2]);
    expect(await seqs('"budget plan"')).toEqual([2]);
    for (const across of ['"numbers budget"', '"see plan"']) expect(await seqs(across), across).toEqual([]);
    expect(await snippets(ben, 'cats')).toEqual(['IMG_2031.png Two «cats» on a roof']);
    await edit(ana, image.id, 'Our roof');
    expect(await seqs('"our roof" cats has:image')).toEqual([1]);
    // As a node of an older release leaves it after an edit.
    await node.deps.database.db.$executeRaw`UPDATE messages SET search = NULL WHERE id = ${rowId(file.id)}::uuid`;
    expect(await seqs('has:file')).toEqual([]);
    await indexing.of(node.deps).finish();
    expect(await seqs('xlsx has:file numbers')).toEqual([2]);
    await remove(ana, image.id);
    await remove(ana, file.id);
    expect(await seqs('has:attachment')).toEqual([3]);
    expect(await seqs('cats')).toEqual([]);
  });

  it('filters by sender, conversation, day and content', async () => {
    const [ana, ben, cleo] = (await people(node, 3)) as [Person, Person, Person];
    const direct = await openDirect(ana, ben);
    const group = await createGroup(ana, [ben, cleo], { title: 'Bérlin office' });
    const later = await createGroup(cleo, [ben], { title: 'Lunch' });
    await send(ana, direct, 'plan one');
    await send(ben, direct, 'plan two https://example.com/x');
    await send(ana, group, `plan three for @${ben.username}`);
    await send(cleo, group, 'plan four www.example.com');
    await send(cleo, later, 'plan five');
    const plans = async (query: string, more: Json = {}) =>
      (await found(ben, query, more)).map((text) => text.split(' ')[1]).sort();
    expect(await plans(`plan from:${ana.username}`)).toEqual(['one', 'three']);
    expect(await plans(`plan from:@${ana.username.toUpperCase()} from:me`)).toEqual(['one', 'three', 'two']);
    expect(await plans(`from:${cleo.username}`)).toEqual(['five', 'four']);
    expect(await plans(`plan -from:${ana.username} -from:me`)).toEqual(['five', 'four']);
    expect(await plans('plan from:nobody-of-this-name')).toEqual([]);
    expect(await plans('plan in:berlin')).toEqual(['four', 'three']);
    expect(await plans('plan in:"office ber"')).toEqual(['four', 'three']);
    expect(await plans(`plan in:@${ana.username}`)).toEqual(['one', 'two']);
    expect(await plans(`plan in:@${ana.username} in:lunch`)).toEqual(['five', 'one', 'two']);
    expect(await plans('plan -in:berlin')).toEqual(['five', 'one', 'two']);
    expect(await plans('plan in:elsewhere')).toEqual([]);
    expect(await plans('plan', { conversationId: group })).toEqual(['four', 'three']);
    expect(await plans('plan in:lunch', { conversationId: group })).toEqual([]);
    expect(await plans('has:link')).toEqual(['four', 'two']);
    expect(await plans('has:mention')).toEqual(['three']);
    expect(await plans('plan -has:links')).toEqual(['five', 'one', 'three']);

    const { db } = node.deps.database;
    const date = (day: string) => new Date(`${day}T12:00:00Z`);
    const days = ['2025-12-31', '2026-01-01', '2026-01-31'] as const;
    const dated = await createGroup(ana, [ben], { title: 'Dated' });
    for (const [index, day] of days.entries()) {
      const { id } = await send(ana, dated, `dated ${index}`);
      const [rowId] = [
        (
          await db.message.findFirst({
            where: { text: `dated ${index}`, conversation: { title: 'Dated' } },
            orderBy: { id: 'desc' },
          })
        )?.id,
      ];
      expect(id).toBeTruthy();
      await db.message.update({ where: { id: rowId as string }, data: { createdAt: date(day) } });
    }
    const which = async (query: string) => (await found(ben, query)).map((text) => text.split(' ')[1]).sort();
    expect(await which('dated before:2026')).toEqual(['0']);
    expect(await which('dated before:2026-01-31')).toEqual(['0', '1']);
    expect(await which('dated after:2025')).toEqual(['1', '2']);
    expect(await which('dated after:2026-01-01')).toEqual(['2']);
    expect(await which('dated after:2025-12 before:2026-01-31')).toEqual(['1']);
    expect(await which('dated after:2026-01-31T11:59:59Z before:2026-01-31T13:00+00:00')).toEqual(['2']);
    expect(await which('dated after:2026-02')).toEqual([]);
  });

  itOnce('rejects empty queries and invalid filters, with the reason', async () => {
    const [ana, ben] = (await people(node, 2)) as [Person, Person];
    const group = await createGroup(ana, []);
    const open = await createGroup(ana, [], { visibility: 'PUBLIC' });
    for (const query of [
      '',
      ' \n',
      '🙂 …',
      '-word',
      'in:x',
      'before:2026',
      'has:teeth',
      'before:2026-02-30',
      'from:',
      'x'.repeat(501),
      'a '.repeat(65),
    ]) {
      expect(await error(ben, query), query).toBe('BAD_USER_INPUT query');
    }
    expect(await error(ben, 'word', { first: 0 })).toBe('BAD_USER_INPUT first');
    expect(await error(ben, 'word', { after: 'x' })).toBe('BAD_USER_INPUT after');
    expect(await error(ben, 'word', { conversationId: group })).toBe('NOT_FOUND conversationId');
    expect(await error(ben, 'word', { conversationId: open })).toBe('FORBIDDEN conversationId');
    expect(await error(ben, 'word', { conversationId: ben.id })).toBe('BAD_USER_INPUT conversationId');
    expect(await error(ben, 'word')).toBeUndefined();
  });

  it('finds only messages that the viewer can see now, in their current state', async () => {
    const [ana, ben, cleo] = (await people(node, 3)) as [Person, Person, Person];
    const group = await createGroup(ana, [ben], { historyVisibility: 'SINCE_JOINED', title: 'Secretword' });
    const first = await send(ana, group, 'secretword one');
    const second = await send(ana, group, 'secretword two');
    const gone = await send(ben, group, 'secretword three');
    expect(await found(cleo, 'secretword')).toEqual([]);
    await attempt(ana, 'addMembers', { conversationId: group, userIds: [cleo.id] });
    await send(ana, group, 'secretword four');
    expect(await found(cleo, 'secretword')).toEqual(['secretword four']);
    await edit(ana, first.id, 'changed words');
    await remove(ben, gone.id);
    expect(await found(ben, 'secretword')).toEqual(['secretword four', 'secretword two']);
    expect(await found(ben, 'changed wo')).toEqual(['changed words']);
    expect(await found(ben, 'has:link')).toEqual([]);
    await edit(ana, second.id, `www.example.com @${ben.username}`);
    expect(await found(ben, 'has:link')).toHaveLength(1);
    expect(await found(ben, 'has:mention')).toHaveLength(1);
    await attempt(ben, 'blockUser', { userId: ana.id });
    expect(await found(ben, 'secretword')).toEqual(['secretword four']);
    await ana.ask(REMOVE_MEMBER, { input: { conversationId: group, userId: ben.id } });
    expect(await found(ben, 'secretword')).toEqual([]);
    expect(await found(ben, `from:${ana.username}`)).toEqual([]);
  });

  it('ranks adjacent, frequent and exact words first, and newer ones among equals', async () => {
    const [ana, ben] = (await people(node, 2)) as [Person, Person];
    const direct = await openDirect(ana, ben);
    const texts = [
      'green tea',
      'tea that is far away from anything that anybody would call green',
      'green tea, green tea',
      'greenish tea for all',
      'green teas',
      'green tea again',
    ];
    for (const text of texts) await send(ana, direct, text);
    expect(await found(ben, 'green tea')).toEqual([
      'green tea, green tea',
      'green tea again',
      'green tea',
      'green teas',
      'tea that is far away from anything that anybody would call green',
    ]);
    expect(await found(ben, `from:${ana.username}`)).toEqual([...texts].reverse());
  });

  itOnce('shows the match in a snippet with marks, on one line', async () => {
    const [ana, ben] = (await people(node, 2)) as [Person, Person];
    const direct = await openDirect(ana, ben);
    const filler = 'word '.repeat(60);
    await send(ana, direct, `${filler}the Straße\nto <b>Zürich</b> «here» ${filler}`);
    const [snippet] = (await snippets(ben, 'zurich stra')) as [string];
    expect(snippet).toMatch(/^…(word )+the «Straße» to <b>«Zürich»<\/b> ‹here› word .*word…$/);
    expect(snippet.length).toBeLessThan(180);
    const [edge] = (await page(ben, 'zurich stra')).edges;
    const { text, matches } = edge.plainSnippet;
    expect(matches.map(({ start, end }: Json) => text.slice(start, end))).toEqual(['Straße', 'Zürich']);
    expect(text).toContain('<b>Zürich</b> «here» word');
    expect((await snippets(ben, `from:${ana.username}`))[0]).toMatch(/^word word .*word…$/);
  });

  it('paginates through the matches at the time of the first page', async () => {
    const [ana, ben] = (await people(node, 2)) as [Person, Person];
    const [direct, group] = [await openDirect(ana, ben), await createGroup(ana, [ben])];
    for (let index = 0; index < 12; index += 1) {
      await send(ana, index % 2 ? direct : group, `apple ${'apple '.repeat(index % 3)}${index}`);
    }
    const all = await found(ben, 'apple', { first: 100 });
    expect(all).toHaveLength(12);
    const seen: string[] = [];
    let after: string | null = null;
    for (let pages = 0; pages < 10; pages += 1) {
      const { nodes, pageInfo }: Json = await page(ben, 'apple', { first: 5, after });
      expect(pageInfo.hasPreviousPage).toBe(after !== null);
      seen.push(...nodes.map(({ text }: Json) => text));
      await send(ana, pages % 2 ? direct : group, 'apple apple apple apple of now');
      after = pageInfo.endCursor;
      if (!pageInfo.hasNextPage) break;
    }
    expect(seen).toEqual(all);
    expect(await error(ben, 'apples', { after })).toBe('BAD_USER_INPUT after');
    expect((await found(ben, 'apple'))[0]).toBe('apple apple apple apple of now');
  });

  it('finds messages that were stored without an index entry after they are indexed', async () => {
    const [ana, ben] = (await people(node, 2)) as [Person, Person];
    const direct = await openDirect(ana, ben);
    await send(ana, direct, 'walrus one');
    const { id } = await send(ana, direct, 'walrus two');
    const { deps } = node;
    // A node of the previous version removes the entry of the old text and writes none for the new one.
    await deps.database.db.message.updateMany({ where: { text: 'walrus two' }, data: { text: 'walrus three' } });
    expect(await found(ben, 'walrus')).toEqual(['walrus one']);
    await deps.database.db.$executeRaw`UPDATE messages SET search = NULL WHERE text = 'walrus one'`;
    expect(await found(ben, 'walrus')).toEqual([]);
    await indexing.of(deps).finish();
    expect(await found(ben, 'walrus')).toEqual(['walrus three', 'walrus one']);
    await remove(ana, id);
    await indexing.of(deps).finish();
    expect(await found(ben, 'walrus')).toEqual(['walrus one']);
    const [{ left }] = await deps.database.db.$queryRaw<[{ left: number }]>`
      SELECT count(*)::int AS left FROM messages WHERE deleted_at IS NOT NULL AND search IS NOT NULL`;
    expect(left).toBe(0);
  });
});
