import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { type Json, type Person, register } from '../support/client.js';
import { footings, makePlace } from '../support/place.js';
import { attempt, createGroup, edit, openDirect, REMOVE_MEMBER, remove, send } from '../support/talk.js';

export const SEARCH = `query ($query: String!, $conversationId: ID, $first: Int, $after: String) {
  searchMessages(query: $query, conversationId: $conversationId, first: $first, after: $after) {
    edges { cursor snippet node { id text seq sender { username } conversation { id } } }
    nodes { text }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}`;

const page = async (person: Person, query: string, more: Json = {}): Promise<Json> =>
  (await person.ask(SEARCH, { query, ...more })).searchMessages;
/** Texts that are found, in their order. */
const found = async (person: Person, query: string, more: Json = {}): Promise<string[]> =>
  (await page(person, query, more)).edges.map(({ node }: Json) => node.text);
const snippets = async (person: Person, query: string): Promise<string[]> =>
  (await page(person, query)).edges.map(({ snippet }: Json) => snippet);
const error = async (person: Person, query: string, more: Json = {}): Promise<string | undefined> => {
  const [first] = (await person.request(SEARCH, { query, ...more })).errors ?? [];
  return first && [first.extensions.code, first.extensions.field].join(' ');
};

let names = 0;
/** People of nobody else's conversations. */
const people = async ({ url }: RunningNode, count: number): Promise<Person[]> => {
  names += 1;
  return Promise.all(Array.from({ length: count }, (_, index) => register(url, `seeker${names}.${index}`)));
};

describe.each(footings)('a search for messages on the %s footing', (footing) => {
  let node: RunningNode;
  beforeAll(async () => {
    node = await (await makePlace(footing)).start();
  });

  it('finds words without regard to case and accents, all of them, the last one by its beginning', async () => {
    const [ana, ben] = await people(node, 2) as [Person, Person];
    const direct = await openDirect(ana, ben);
    for (const text of ['Café am Fluß', 'Das CAFE ist zu', 'Тихий Дон', 'Καλημέρα σας', 'nothing here']) await send(ana, direct, text);
    expect(await found(ben, 'cafe')).toEqual(['Das CAFE ist zu', 'Café am Fluß']);
    expect(await found(ben, 'CAFÉ zu')).toEqual(['Das CAFE ist zu']);
    expect(await found(ben, 'ca')).toEqual(['Das CAFE ist zu', 'Café am Fluß']);
    expect(await found(ben, 'ca zu')).toEqual([]);
    expect(await found(ben, 'тихий до')).toEqual(['Тихий Дон']);
    expect(await found(ben, 'καλημερα')).toEqual(['Καλημέρα σας']);
    expect(await found(ben, 'n')).toEqual([]);
  });

  it('finds phrases, and leaves out what is not to be there', async () => {
    const [ana, ben] = await people(node, 2) as [Person, Person];
    const direct = await openDirect(ana, ben);
    for (const text of ['the red house', 'house red, the', 'a red-house.example thing', 'the red boat']) await send(ana, direct, text);
    expect(await found(ben, '"red house"')).toEqual(['a red-house.example thing', 'the red house']);
    expect(await found(ben, '"red hou')).toEqual(['a red-house.example thing', 'the red house']);
    expect(await found(ben, '"red hou"')).toEqual([]);
    expect(await found(ben, 'red-house')).toEqual(['a red-house.example thing', 'the red house']);
    expect(await found(ben, 'red -boat')).toEqual(['a red-house.example thing', 'house red, the', 'the red house']);
    expect(await found(ben, 'house -"red house"')).toEqual(['house red, the']);
  });

  it('finds parts of what is written without spaces', async () => {
    const [ana, ben] = await people(node, 2) as [Person, Person];
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
    expect((await snippets(ben, '京')).sort()).toEqual(['«京»北', '我在北«京»大学学习', '東«京»タワーに行きました'].sort());
  });
});
