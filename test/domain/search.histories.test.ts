import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../src/core/ids.js';
import { blockUser } from '../../src/domain/block/block.service.js';
import { openDirectConversation } from '../../src/domain/conversation/conversation.service.js';
import { editMessage } from '../../src/domain/edit/edit.service.js';
import { createGroup } from '../../src/domain/group/group.service.js';
import { addMembers, leaveConversation, removeMember } from '../../src/domain/group/membership.service.js';
import { deleteMessage, sendMessage } from '../../src/domain/message/message.service.js';
import { searchMessages } from '../../src/domain/search/search.service.js';
import type { Deps } from '../../src/platform/deps.js';
import type { Viewer } from '../../src/platform/viewer.js';
import { CASES_TIMEOUT_MS, randomCases } from '../support/exhaustive.js';
import { makePlace, modes } from '../support/place.js';

// Compares random histories in several conversations with a model that stores who may read which messages. A search
// must find exactly these messages in their current state.

const PEOPLE = 4;
/** A group with a visible history, a group with history since joining, and a direct conversation of the first two. */
const PLACES = 3;
const DIRECT = 2;
const WORDS = ['apple', 'Äpfel', 'pear', '林檎ジュース'];

const who = fc.nat(PEOPLE - 1);
const where = fc.nat(PLACES - 1);
const word = fc.nat(WORDS.length - 1);
const which = fc.nat(20);
type Step = {
  act: 'send' | 'edit' | 'delete' | 'leave' | 'remove' | 'join' | 'block';
  who: number;
  where: number;
  word: number;
  which: number;
};
const act = fc.oneof(
  { weight: 6, arbitrary: fc.constant('send' as const) },
  { weight: 2, arbitrary: fc.constantFrom('edit' as const, 'delete' as const) },
  { weight: 2, arbitrary: fc.constantFrom('leave' as const, 'remove' as const, 'join' as const, 'join' as const) },
  { weight: 1, arbitrary: fc.constant('block' as const) },
);
const step: fc.Arbitrary<Step> = fc.record({ act, who, where, word, which });

interface Said {
  id: string;
  seq: number;
  sender: number;
  text: string | null;
}

describe.each(modes)('search results in %s mode', (mode) => {
  let nodes: Deps[];
  beforeAll(async () => {
    const place = await makePlace(mode);
    const started = await Promise.all(Array.from({ length: mode === 'postgresql' ? 2 : 1 }, () => place.start()));
    nodes = started.map(({ deps }) => deps);
  });

  async function makePeople(deps: Deps): Promise<Viewer[]> {
    const people = Array.from({ length: PEOPLE }, () => ({ id: newId(), name: randomBytes(12).toString('hex') }));
    await deps.database.db.user.createMany({
      data: people.map(({ id, name }) => ({
        id,
        username: name,
        usernameKey: name,
        displayName: 'x',
        searchWords: ['x'],
      })),
    });
    return people.map(({ id }) => ({ userId: id, sessionId: newId(), expiresAt: new Date(Date.now() + 3_600_000) }));
  }

  it('contain exactly the messages that the viewer can read now, after any history', {
    timeout: CASES_TIMEOUT_MS,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 35 }), async (steps) => {
        const at = (index: number) => nodes[index % nodes.length] as Deps;
        const people = await makePeople(at(0));
        const viewer = (person: number) => people[person] as Viewer;
        const memberIds = people.slice(1).map(({ userId }) => userId);
        const group = (historyVisibility: 'ALL' | 'SINCE_JOINED') =>
          createGroup(at(0), viewer(0), { title: 'x', memberIds, historyVisibility });
        const places = [
          (await group('ALL')).conversation.id,
          (await group('SINCE_JOINED')).conversation.id,
          (await openDirectConversation(at(0), viewer(0), viewer(1).userId)).conversation.id,
        ] as const;
        const said: Said[][] = [[], [], []];
        /** The first message that each member may see. */
        const members = places.map(
          (_, place) => new Map(Array.from({ length: place === DIRECT ? 2 : PEOPLE }, (__, person) => [person, 0])),
        );
        let apart = false;

        for (const [index, { act, who, where, word, which }] of steps.entries()) {
          const deps = at(index);
          const conversationId = places[where] as string;
          const texts = said[where] as Said[];
          const own = members[where] as Map<number, number>;
          const text = `${WORDS[word]} ${index}`;
          const message = texts[which];
          const sees = message !== undefined && (own.get(who) ?? Number.POSITIVE_INFINITY) < message.seq;
          if (act === 'send' && own.has(who) && !(where === DIRECT && apart)) {
            const { id, seq } = await sendMessage(deps, viewer(who), { conversationId, text });
            texts.push({ id, seq, sender: who, text });
          } else if (act === 'edit' && message?.text && sees && message.sender === who) {
            await editMessage(deps, viewer(who), { messageId: message.id, text });
            message.text = text;
          } else if (
            act === 'delete' &&
            message?.text &&
            sees &&
            (message.sender === who || (who === 0 && where !== DIRECT))
          ) {
            await deleteMessage(deps, viewer(who), message.id);
            message.text = null;
          } else if (act === 'leave' && where !== DIRECT && who !== 0 && own.has(who)) {
            await leaveConversation(deps, viewer(who), conversationId);
            own.delete(who);
          } else if (act === 'remove' && where !== DIRECT && who !== 0 && own.has(who)) {
            await removeMember(deps, viewer(0), { conversationId, userId: viewer(who).userId });
            own.delete(who);
          } else if (act === 'join' && where !== DIRECT && !own.has(who) && !(apart && who === 1)) {
            await addMembers(deps, viewer(0), { conversationId, userIds: [viewer(who).userId] });
            own.set(who, where === 1 ? texts.length : 0);
          } else if (act === 'block' && who === 1) {
            await blockUser(deps, viewer(1), viewer(0).userId);
            apart = true;
          }
        }

        for (const person of people.keys()) {
          for (const [query, fits] of [
            ['apple', /apple /],
            ['apfel', /Äpfel /],
            ['檎ジュ', /林檎/],
            ['-apple from:me', null],
          ] as const) {
            const shown = await searchMessages(
              at(person),
              viewer(person),
              { query, conversationId: null, first: 100 },
              {},
            );
            const readable = said.flatMap((texts, place) => {
              const from = members[place]?.get(person);
              return from === undefined
                ? []
                : texts.filter(({ seq, text, sender }) => {
                    if (text === null || seq <= from) return false;
                    return fits ? fits.test(text) : sender === person && !/apple/.test(text);
                  });
            });
            expect(
              shown.edges.map(({ node }) => [node.message.id, node.message.text]).sort(),
              `${query} for ${person}`,
            ).toEqual(readable.map(({ id, text }) => [id, text]).sort());
            for (const { node } of shown.edges) {
              expect(node.snippet?.text).toBe(node.message.text);
              if (fits) expect(node.snippet?.matches.length).toBeGreaterThan(0);
            }
          }
        }
        // The index contains no entries of deleted messages.
        const [{ left }] = await at(0).database.db.$queryRaw<[{ left: number }]>`
          SELECT count(*)::int AS left FROM messages WHERE text IS NULL AND search IS NOT NULL`;
        expect(left).toBe(0);
      }),
      randomCases(10),
    );
  });
});
