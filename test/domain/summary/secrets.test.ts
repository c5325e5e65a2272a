import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { decodeGlobalId } from '../../../src/core/ids.js';
import type { RunningNode } from '../../../src/server/start.js';
import { type Json, type Person, registerAll } from '../../support/client.js';
import { CASES_TIMEOUT_MS, randomCases } from '../../support/exhaustive.js';
import { modes, servicesFound, sharedTwo } from '../../support/place.js';
import { fetchSummary, listSummaries, storedText, summarize } from '../../support/summaries.js';
import { attempt, createGroup } from '../../support/talk.js';

// Whatever users do, a summary shows nobody a text that is deleted, was replaced by an edit, or that they may not read.
// Every text contains a word of its own, so that it can be recognized in summaries.

type Act =
  | { act: 'send' | 'join' | 'leave' | 'hide' | 'show'; who: number }
  | { act: 'edit' | 'delete'; which: number }
  | { act: 'summarize'; who: number; from: number | undefined };

const who = fc.nat(2);
const acts = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ act: fc.constant('send' as const), who }) },
    {
      weight: 3,
      arbitrary: fc.record({ act: fc.constantFrom('edit' as const, 'delete' as const), which: fc.nat(30) }),
    },
    { weight: 2, arbitrary: fc.record({ act: fc.constantFrom('join' as const, 'leave' as const), who }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constantFrom('hide' as const, 'show' as const), who }) },
    {
      weight: 6,
      arbitrary: fc.record({
        act: fc.constant('summarize' as const),
        who,
        from: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined }),
      }),
    },
  ),
  { minLength: 8, maxLength: 16 },
);

describe.each(modes)('the texts in summaries in %s mode', (mode) => {
  let node: RunningNode;
  let other: RunningNode;
  let people: [Person, Person, Person];
  let owner: Person;
  let words = 0;
  beforeAll(async () => {
    [node, other] = await sharedTwo(mode);
    const [chief, ...others] = await registerAll(node.url, 'owner', 'one', 'two', 'three');
    owner = chief;
    people = others;
  });

  it(
    'never include deleted or replaced messages, or messages that the viewer may not read',
    async () => {
      const shownWords: string[] = [];
      await fc.assert(
        fc.asyncProperty(acts, async (some: Act[]) => {
          const group = await createGroup(owner, people.slice(0, 2));
          /** The current words of all messages, and the words that were deleted or replaced. */
          const said: { id: string; seq: number; sender: Person; word: string }[] = [];
          const gone: string[] = [];
          const summaries: string[] = [];
          const word = () => {
            words += 1;
            return `mark${mode}${words}x`;
          };
          const textOf = (mark: string) =>
            `we meet on Tuesday at ${(words % 12) + 1} because of ${mark}, please bring 20 euros`;
          const say = async (person: Person) => {
            const mark = word();
            const { data } = await person.request(
              `mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id seq } } }`,
              { input: { conversationId: group, text: textOf(mark) } },
            );
            const message = data?.sendMessage?.message;
            if (message) said.push({ ...message, sender: person, word: mark });
          };
          for (const person of [owner, people[0], people[1]]) await say(person);
          for (const each of some) {
            if ('which' in each) {
              const message = said[each.which % said.length];
              if (!message || message.word === '') continue;
              const mark = word();
              const did =
                each.act === 'edit'
                  ? await attempt(message.sender, 'editMessage', { messageId: message.id, text: textOf(mark) })
                  : await attempt(owner, 'deleteMessage', { messageId: message.id });
              if (typeof did === 'string') continue;
              gone.push(message.word);
              message.word = each.act === 'edit' ? mark : '';
              continue;
            }
            const person = people[each.who] as Person;
            if (each.act === 'send') await say(person);
            if (each.act === 'join')
              await attempt(owner, 'addMembers', { conversationId: group, userIds: [person.id] });
            if (each.act === 'leave') await attempt(person, 'leaveConversation', { conversationId: group });
            if (each.act === 'hide' || each.act === 'show') {
              const historyVisibility = each.act === 'hide' ? 'SINCE_JOINED' : 'ALL';
              await attempt(owner, 'updateGroup', { conversationId: group, historyVisibility });
            }
            if (each.act === 'summarize') {
              const made = await summarize(each.who === 1 ? person.at(other.url) : person, group, {
                fromSeq: each.from,
              });
              if (typeof made !== 'string') summaries.push(made.id);
            }
          }
          // Even if few of the random actions summarize, summaries are shown to the viewers.
          const last = await summarize(owner, group, {});
          if (typeof last !== 'string') summaries.push(last.id);
          const memberships = await node.deps.database.db.membership.findMany({
            where: { conversationId: decodeGlobalId(group, 'id').id },
          });
          for (const person of [owner, ...people]) {
            const own = memberships.find(({ userId }) => userId === decodeGlobalId(person.id, 'id').id);
            const shown: Json[] = own ? await listSummaries(person, group) : [];
            for (const id of summaries) shown.push(await fetchSummary(person, id));
            const text = JSON.stringify(shown);
            shownWords.push(...(text.match(/mark\w+x/g) ?? []));
            const forbidden = said.filter(({ seq }) => !own || seq <= own.hiddenToSeq).map((message) => message.word);
            for (const mark of [...gone, ...forbidden]) if (mark !== '') expect(text).not.toContain(`${mark},`);
          }
          const stored = await storedText(node);
          for (const mark of gone) expect(stored).not.toContain(`${mark},`);
        }),
        // In embedded mode, the same code runs the same statements.
        randomCases(mode === 'embedded' && servicesFound ? 3 : 5),
      );
      // Otherwise, the summaries would have contained nothing.
      expect(new Set(shownWords).size).toBeGreaterThan(2);
    },
    CASES_TIMEOUT_MS,
  );
});
