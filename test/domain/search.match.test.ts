import { describe, expect, it } from 'vitest';
import { matchesConversation, matchesQuery, parseQuery, snippetOf } from '../../src/domain/search/search.browser.js';
import { registerAll } from '../support/client.js';
import { detailModes, sharedNode } from '../support/place.js';
import { createGroup, send } from '../support/talk.js';

const SEARCH = `query ($query: String!, $id: ID) { searchMessages(query: $query, conversationId: $id, first: 50) {
  edges { plainSnippet { text matches { start end } } node { id } }
} }`;

const texts = [
  'Who brings the salad on Friday?',
  'I bring a Salát and C++ books',
  'salads are green; the salad is not',
  'Straße und Fußball',
  'see https://example.com/salad',
  'مَرْحَبًا بالعالم',
  '東京タワーに行きます',
  'the green salad of Friday',
  'word '.repeat(60).concat('needle in a haystack ', 'more '.repeat(60)),
  'plain --force option',
];

const queries = [
  'salad',
  'sal',
  'SALAT',
  '"the salad"',
  '"green salad"',
  'salad -green',
  'salad -"green salad"',
  'strasse',
  'مرحبا',
  '京タ',
  '京',
  'c++',
  'c',
  'has:link',
  '-has:link salad',
  'needle hay',
  '"needle in a hay',
  'nothing of the kind',
  'from:me salad',
  'force',
];

describe.each(detailModes)('searching without an index, compared with %s mode', (mode) => {
  it('finds the same messages as the server, with the same snippets', async () => {
    const node = await sharedNode(mode);
    const [ada, bob] = await registerAll(node.url, 'ada', 'bob');
    const id = await createGroup(ada, [bob], { title: 'Garden' });
    const sent = [];
    for (const [index, text] of texts.entries()) {
      const sender = index % 3 === 0 ? ada : bob;
      sent.push({ ...(await send(sender, id, text)), text, sender: sender.username });
    }
    for (const text of [...queries, `from:${bob.username} the`, `-from:@${bob.username} salad`]) {
      const query = parseQuery(text);
      const found = sent.filter((message) =>
        matchesQuery(query, { ...message, attachments: [], hasMention: false, createdAt: new Date() }, ada.username),
      );
      const { edges } = (await ada.ask(SEARCH, { query: text, id })).searchMessages;
      const ids = edges.map((edge: { node: { id: string } }) => edge.node.id);
      expect(found.map((message) => message.id).sort(), text).toEqual([...ids].sort());
      for (const message of found) {
        const { marked: _, ...snippet } = snippetOf(message.text, query.phrases);
        expect(edges[ids.indexOf(message.id)].plainSnippet, text).toEqual(snippet);
      }
    }
  });
});

it('searches the names and descriptions of files, but no phrase that begins in the text', () => {
  const message = {
    text: 'see the green',
    attachments: [{ kind: 'FILE' as const, filename: 'garden plan.pdf', altText: null }],
    hasMention: true,
    sender: 'ada',
    createdAt: new Date('2026-11-27T12:00:00Z'),
  };
  const matches = (text: string) => matchesQuery(parseQuery(text), message, 'bob');
  const cases = {
    'plan has:file': true,
    '"garden plan"': true,
    '"green garden"': false,
    'has:image': false,
    'has:attachment has:mention': true,
    '-has:mention plan': false,
    'from:ADA plan': true,
    'from:me plan': false,
    'plan after:2026-11-26': true,
    'plan after:2026-11-27': false,
    'plan before:2026-11-28': true,
    'plan before:2026-11-27': false,
  };
  expect(Object.fromEntries(Object.keys(cases).map((text) => [text, matches(text)]))).toEqual(cases);
});

it('is about groups by words of their titles, and about direct conversations by usernames', () => {
  const isAbout = (text: string, conversation: { title: string | undefined; counterpart: string | undefined }) =>
    matchesConversation(parseQuery(`x ${text}`), conversation);
  const garden = { title: 'Garden club', counterpart: undefined };
  const bob = { title: undefined, counterpart: 'Bob' };
  expect(
    ['', 'in:club', 'in:"gard clu"', 'in:kitchen', 'in:@bob', '-in:garden'].map((each) => isAbout(each, garden)),
  ).toEqual([true, true, true, false, false, false]);
  expect(['', 'in:@bob', 'in:@eve', 'in:bob', '-in:@bob'].map((each) => isAbout(each, bob))).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});
