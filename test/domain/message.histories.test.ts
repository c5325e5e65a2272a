import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../src/core/ids.js';
import { editMessage } from '../../src/domain/edit/edit.service.js';
import { createGroup } from '../../src/domain/group/group.service.js';
import { messageParts } from '../../src/domain/message/message.part.js';
import { deleteMessage, sendMessage } from '../../src/domain/message/message.service.js';
import { pinMessage, unpinMessage } from '../../src/domain/pin/pin.service.js';
import { findPinned } from '../../src/domain/pin/pin.store.js';
import { addReaction, removeReaction } from '../../src/domain/reaction/reaction.service.js';
import { ownReactionsLookup } from '../../src/domain/reaction/reaction.store.js';
import type { Deps } from '../../src/platform/deps.js';
import type { Viewer } from '../../src/platform/viewer.js';
import { CASES_TIMEOUT_MS, randomCases } from '../support/exhaustive.js';
import { makePlace, modes } from '../support/place.js';

// Histories of what people do to messages, one after another or at the same time, against a model that stores
// everything.

const PEOPLE = 3;
const EMOJIS = ['👍', '❤️', '🏳️‍🌈'];
const VERSIONS_MAX = 3;
const PINS_MAX = 2;

type Step =
  | { act: 'send'; who: number; answers: number | null }
  | { act: 'edit' | 'delete' | 'pin' | 'unpin'; who: number; which: number }
  | { act: 'react' | 'unreact'; who: number; which: number; emoji: number };

const who = fc.nat(PEOPLE - 1);
const which = fc.nat(7);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ act: fc.constant('send' as const), who, answers: fc.option(which, { freq: 1 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constantFrom('edit' as const, 'delete' as const, 'pin' as const, 'unpin' as const),
      who,
      which,
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      act: fc.constantFrom('react' as const, 'react' as const, 'unreact' as const),
      who,
      which,
      emoji: fc.nat(EMOJIS.length - 1),
    }),
  },
);

/** The expected state of a message. */
interface Known {
  sender: number;
  answers: number | null;
  text: string | null;
  versions: string[];
  /** By emoji, in the order in which the groups began. */
  reactions: Map<string, Set<number>>;
}

class Model {
  readonly messages: Known[] = [];
  /** The latest first. */
  pinned: number[] = [];

  send(sender: number, text: string, answers: number | null): void {
    this.messages.push({ sender, answers, text, versions: [], reactions: new Map() });
  }

  edit(index: number, text: string): void {
    const message = this.messages[index] as Known;
    message.versions.push(message.text ?? '');
    // The first and the newest.
    if (message.versions.length > VERSIONS_MAX) message.versions.splice(1, 1);
    message.text = text;
  }

  delete(index: number): void {
    Object.assign(this.messages[index] as Known, { text: null, versions: [], reactions: new Map() });
    this.pinned = this.pinned.filter((each) => each !== index);
  }

  react(index: number, person: number, emoji: string): void {
    const { reactions } = this.messages[index] as Known;
    reactions.set(emoji, (reactions.get(emoji) ?? new Set()).add(person));
  }

  unreact(index: number, person: number, emoji: string): void {
    const { reactions } = this.messages[index] as Known;
    reactions.get(emoji)?.delete(person);
    if (reactions.get(emoji)?.size === 0) reactions.delete(emoji);
  }

  replyCountOf(index: number): number {
    return this.messages.filter(({ answers, text }) => answers === index && text !== null).length;
  }
}

describe.each(modes)('random histories of messages in %s mode', (mode) => {
  let nodes: Deps[];
  beforeAll(async () => {
    const place = await makePlace(mode);
    const env = { MESSAGE_VERSIONS_MAX: `${VERSIONS_MAX}`, PINS_MAX: `${PINS_MAX}` };
    const started = await Promise.all(Array.from({ length: mode === 'postgresql' ? 2 : 1 }, () => place.start(env)));
    nodes = started.map(({ deps }) => deps);
  });

  async function makePeople({ database }: Deps): Promise<Viewer[]> {
    const people = Array.from({ length: PEOPLE }, () => ({
      userId: newId(),
      sessionId: newId(),
      expiresAt: new Date(Date.now() + 3_600_000),
    }));
    await database.db.user.createMany({
      data: people.map(({ userId: id }) => ({ id, username: id, usernameKey: id, displayName: 'x', searchWords: [] })),
    });
    return people;
  }

  it('lead to the state that a model predicts', { timeout: CASES_TIMEOUT_MS }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), fc.boolean(), async (steps, together) => {
        const [first] = nodes as [Deps];
        const { db } = first.database;
        const people = await makePeople(first);
        const viewer = (person: number) => people[person] as Viewer;
        const owner = viewer(0);
        const {
          conversation: { id: conversationId },
        } = await createGroup(first, owner, {
          title: 'x',
          memberIds: people.slice(1).map(({ userId }) => userId),
        });
        const model = new Model();
        const ids: string[] = [];
        const idAt = (index: number) => ids[index] as string;
        /** The last operation of each person, whose operations run one after another, concurrently with those of others. */
        const underWay = people.map(() => Promise.resolve() as Promise<unknown>);
        const settle = () => Promise.all(underWay);

        for (const [index, step] of steps.entries()) {
          const deps = nodes[index % nodes.length] as Deps;
          const me = viewer(step.who);
          const text = `text ${index}`;
          if (step.act === 'send') {
            await settle();
            const answers = step.answers !== null && step.answers < ids.length ? step.answers : null;
            const replyToId = answers === null ? null : idAt(answers);
            ids.push((await sendMessage(deps, me, { conversationId, text, replyToId })).id);
            model.send(step.who, text, answers);
            continue;
          }
          const message = model.messages[step.which];
          if (!message) continue;
          const messageId = idAt(step.which);
          if (step.act === 'react' || step.act === 'unreact') {
            if (message.text === null) continue;
            const emoji = EMOJIS[step.emoji] as string;
            const act = step.act === 'react' ? addReaction : removeReaction;
            model[step.act](step.which, step.who, emoji);
            const before = underWay[step.who];
            underWay[step.who] = (async () => {
              await before;
              await act(deps, me, { messageId, emoji });
            })();
            if (!together) await settle();
            continue;
          }
          await settle();
          if (step.act === 'edit' && message.sender === step.who && message.text !== null) {
            await editMessage(deps, me, { messageId, text });
            model.edit(step.which, text);
          } else if (step.act === 'delete') {
            await deleteMessage(deps, owner, messageId);
            model.delete(step.which);
          } else if (step.act === 'pin' && message.text !== null && !model.pinned.includes(step.which)) {
            const pinning = pinMessage(deps, owner, messageId);
            if (model.pinned.length >= PINS_MAX) await expect(pinning).rejects.toThrow('pinned messages');
            else {
              await pinning;
              model.pinned = [step.which, ...model.pinned];
            }
          } else if (step.act === 'unpin' && message.text !== null) {
            await unpinMessage(deps, owner, messageId);
            model.pinned = model.pinned.filter((each) => each !== step.which);
          }
        }
        await settle();

        const rows = await db.message.findMany({
          where: { conversationId },
          include: { versions: { orderBy: { number: 'asc' } } },
          orderBy: { seq: 'asc' },
        });
        const parts = await messageParts.of(first).load(db, rows);
        // Concurrent operations have no defined order.
        const inOrder = <Value>(values: Value[]) => (together ? values.sort() : values);
        for (const [index, row] of rows.entries()) {
          const known = model.messages[index] as Known;
          const { reactions, replyCount, quote } = parts[index] as (typeof parts)[number];
          expect({
            ...{ text: row.text, replyCount, answers: quote && rows.findIndex(({ id }) => id === quote.message.id) },
            quoted: quote && [quote.message.text, quote.message.parts.replyCount],
            versions: row.versions.map((version) => version.text),
            groups: inOrder(reactions.groups.map(({ emoji, count }) => `${emoji} ${count}`)),
          }).toEqual({
            ...{ text: known.text, replyCount: model.replyCountOf(index), answers: known.answers },
            quoted:
              known.answers === null
                ? null
                : [model.messages[known.answers]?.text ?? null, model.replyCountOf(known.answers)],
            versions: known.versions,
            groups: inOrder([...known.reactions].map(([emoji, by]) => `${emoji} ${by.size}`)),
          });
          const own = await Promise.all(
            people.map(({ userId }) => ownReactionsLookup.of(first)({ messageId: row.id, userId })),
          );
          for (const [person, { userId }] of people.entries()) {
            const theirs = [...known.reactions].filter(([, by]) => by.has(person)).map(([emoji]) => emoji);
            expect([...(own[person] ?? [])].sort()).toEqual(theirs.sort());
            expect(own[person]).toEqual(reactions.byPerson?.[userId] ?? []);
          }
        }
        const [pinned] = await findPinned(db, owner.userId, [conversationId], 100);
        expect(pinned?.map(({ id }) => ids.indexOf(id))).toEqual(model.pinned);
        // Counted again.
        const wrong = await db.$queryRaw<object[]>`
          SELECT 1 FROM reaction_groups
          WHERE count <> (SELECT count(*) FROM reactions
                          WHERE message_id = reaction_groups.message_id AND emoji = reaction_groups.emoji)`;
        expect(wrong).toEqual([]);
      }),
      randomCases(8),
    );
  });
});
