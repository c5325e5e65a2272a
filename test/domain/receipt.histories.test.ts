import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../src/core/ids.js';
import { editMessage } from '../../src/domain/edit/edit.service.js';
import { createGroup } from '../../src/domain/group/group.service.js';
import { addMembers, leaveConversation } from '../../src/domain/group/membership.service.js';
import { deleteMessage, sendMessage } from '../../src/domain/message/message.service.js';
import { statusOf } from '../../src/domain/receipt/receipt.policy.js';
import { acknowledge, markDelivered, markRead, streamReceipts } from '../../src/domain/receipt/receipt.service.js';
import { countUnread, findReceipts, findUnread, type Unread } from '../../src/domain/receipt/receipt.store.js';
import type { Deps } from '../../src/platform/deps.js';
import type { Viewer } from '../../src/platform/viewer.js';
import { eventually } from '../support/client.js';
import { CASES_TIMEOUT_MS, randomCases } from '../support/exhaustive.js';
import { inOneMode, makePlace, modes } from '../support/place.js';

// Compares random histories of sequential and concurrent operations with a model that stores every message.

const PEOPLE = 4;
type Step =
  | { act: 'send'; who: number; whom: number[] }
  | { act: 'edit'; who: number; which: number; whom: number[] }
  | { act: 'leave' | 'join'; who: number }
  | { act: 'delete'; who: number; which: number }
  | { act: 'read' | 'deliver'; who: number; seq: number };

const who = fc.nat(PEOPLE - 1);
/** The index of a user, or PEOPLE for @everyone. */
const nameable = fc.nat(PEOPLE);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ act: fc.constant('send' as const), who, whom: fc.uniqueArray(nameable) }) },
  {
    weight: 1,
    arbitrary: fc.record({ act: fc.constant('edit' as const), who, which: fc.nat(30), whom: fc.uniqueArray(nameable) }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constantFrom('leave' as const, 'join' as const), who }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('delete' as const), who, which: fc.nat(30) }) },
  {
    weight: 5,
    arbitrary: fc.record({ act: fc.constantFrom('read' as const, 'deliver' as const), who, seq: fc.nat(30) }),
  },
);

interface Member {
  delivered: number;
  read: number;
}

/** The expected state: every message with its sender, and every member's marks. */
class Model {
  readonly messages: { sender: number; deleted: boolean; named: number[] }[] = [];
  readonly members = new Map<number, Member>();

  /** The mentioned members. Only the first user, who owns the group, can mention everyone. */
  named(sender: number, whom: readonly number[]): number[] {
    const all = sender === 0 && whom.includes(PEOPLE);
    return [...this.members.keys()].filter((person) => all || whom.includes(person));
  }

  unreadOf(person: number): Unread | null {
    const member = this.members.get(person);
    if (!member) return null;
    const unread = this.messages.filter(
      ({ sender, deleted }, index) => index >= member.read && sender !== person && !deleted,
    );
    const mentions = unread.filter(({ named }) => named.includes(person)).length;
    return { messages: unread.length, mentions, toSeq: this.messages.length };
  }

  statusOf(index: number): string {
    const { sender } = this.messages[index] as { sender: number };
    const others = [...this.members].filter(([person]) => person !== sender).map(([, member]) => member);
    if (others.length === 0) return 'SENT';
    if (others.every(({ read }) => read > index)) return 'SEEN';
    return others.every(({ delivered }) => delivered > index) ? 'DELIVERED' : 'SENT';
  }
}

describe.each(modes)('marks, counts and statuses in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let nodes: Deps[];
  beforeAll(async () => {
    const place = await makePlace(mode);
    const started = await Promise.all(Array.from({ length: mode === 'postgresql' ? 2 : 1 }, () => place.start()));
    nodes = started.map(({ deps }) => deps);
  });
  const streams: { end(): void }[] = [];
  afterAll(() => {
    for (const stream of streams) stream.end();
  });

  async function makePeople(deps: Deps): Promise<(Viewer & { username: string })[]> {
    const people = Array.from({ length: PEOPLE }, () => ({
      userId: newId(),
      username: randomBytes(12).toString('hex'),
      sessionId: newId(),
      expiresAt: new Date(Date.now() + 3_600_000),
    }));
    await deps.database.db.user.createMany({
      data: people.map(({ userId: id, username }) => ({
        id,
        username,
        usernameKey: username,
        displayName: 'x',
        searchWords: ['x'],
      })),
    });
    return people;
  }

  /** Records the marks that a stream of a user delivers, and the users whose marks moved back. */
  async function listen(deps: Deps, viewer: Viewer) {
    // Like a WebSocket, which ends together with its session.
    const stream = await streamReceipts(
      deps,
      viewer,
      { renew() {} },
      { conversationId: null, after: deps.feed.now.cursor },
    );
    streams.push(stream);
    const marks = new Map<string, Member>();
    const failures: string[] = [];
    void (async () => {
      for await (const event of stream) {
        if (!('change' in event)) continue;
        const { userId, mark } = event.change.data.membership;
        const before = marks.get(userId);
        if (before && (mark.readSeq < before.read || mark.deliveredSeq < before.delivered)) failures.push(userId);
        marks.set(userId, { delivered: mark.deliveredSeq, read: mark.readSeq });
      }
    })();
    return { marks, failures };
  }

  /** Counts unread messages from the rows of messages alone. */
  const rebuild = ({ database: { db } }: Deps, conversationId: string) => db.$queryRaw<(Unread & { userId: string })[]>`
    SELECT marks.user_id::text AS "userId", count(messages.id)::int AS messages,
           count(messages.id) FILTER (WHERE mentions_everyone OR marks.user_id = ANY (mentioned_ids))::int AS mentions,
           (SELECT latest_seq FROM conversations WHERE id = ${conversationId}::uuid) AS "toSeq"
    FROM marks LEFT JOIN messages ON messages.conversation_id = marks.conversation_id
      AND messages.seq > marks.read_seq AND messages.sender_id <> marks.user_id AND messages.deleted_at IS NULL
    WHERE marks.conversation_id = ${conversationId}::uuid GROUP BY marks.user_id`;

  it('agree with a model after any history', { timeout: CASES_TIMEOUT_MS }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), fc.boolean(), async (steps, together) => {
        const [first] = nodes as [Deps];
        const at = (index: number) => nodes[index % nodes.length] as Deps;
        const people = await makePeople(first);
        const viewer = (person: number) => people[person] as Viewer;
        const owner = viewer(0);
        const group = await createGroup(first, owner, {
          title: 'x',
          memberIds: people.slice(1).map(({ userId }) => userId),
        });
        const conversationId = group.conversation.id;
        const observed = await listen(at(1), owner);
        const model = new Model();
        for (const person of people.keys()) model.members.set(person, { delivered: 0, read: 0 });
        const ids: string[] = [];
        const wereAway = new Set<number>();
        const marking: Promise<unknown>[] = [];
        const settle = async () => void (await Promise.all(marking.splice(0)));

        for (const [index, { act, who, ...rest }] of steps.entries()) {
          const deps = at(index);
          const me = viewer(who);
          const mine = model.members.get(who);
          const { seq = 0, which = 0, whom = [] } = rest as { seq?: number; which?: number; whom?: number[] };
          const text = `${index} ${whom.map((each) => `@${people[each]?.username ?? 'everyone'}`).join(', ')}`;
          if (act === 'read' || act === 'deliver') {
            if (!mine || seq > ids.length) continue;
            if (act === 'read') mine.read = Math.max(mine.read, seq);
            mine.delivered = Math.max(mine.delivered, seq);
            const mark = act === 'read' ? markRead : markDelivered;
            // Several devices move the marks at the same time, in any order.
            marking.push(mark(deps, me, { conversationId, seq }));
            if (!together) await settle();
            continue;
          }
          await settle();
          if (act === 'send' && mine) {
            ids.push((await sendMessage(deps, me, { conversationId, text })).id);
            model.messages.push({ sender: who, deleted: false, named: model.named(who, whom) });
          } else if (
            act === 'edit' &&
            mine &&
            model.messages[which]?.sender === who &&
            !model.messages[which].deleted
          ) {
            await editMessage(deps, me, { messageId: ids[which] as string, text });
            model.messages[which].named = model.named(who, whom);
          } else if (act === 'delete' && mine && model.messages[which]?.sender === who) {
            await deleteMessage(deps, me, ids[which] as string);
            (model.messages[which] as { deleted: boolean }).deleted = true;
          } else if (act === 'leave' && mine && who !== 0) {
            await leaveConversation(deps, me, conversationId);
            model.members.delete(who);
            wereAway.add(who);
          } else if (act === 'join' && !mine) {
            await addMembers(deps, owner, { conversationId, userIds: [me.userId] });
            model.members.set(who, { delivered: ids.length, read: ids.length });
          }
        }
        await settle();

        const { db } = first.database;
        for (const [person, { userId }] of people.entries()) {
          const [unread] = await findUnread(db, userId, [conversationId]);
          expect(unread, `unread of ${person}`).toEqual(model.unreadOf(person));
          expect(await countUnread(db, userId)).toBe(model.unreadOf(person)?.messages ?? 0);
        }
        const stored = await db.mark.findMany({ where: { conversationId } });
        const named = (userId: string) => people.findIndex((each) => each.userId === userId);
        expect(
          new Map(stored.map((mark) => [named(mark.userId), { delivered: mark.deliveredSeq, read: mark.readSeq }])),
        ).toEqual(model.members);
        const [receipts] = await findReceipts(db, owner.userId, [conversationId], 250);
        const messages = await db.message.findMany({ where: { conversationId }, orderBy: { seq: 'asc' } });
        for (const [index, message] of messages.entries()) {
          expect(statusOf(message, receipts?.progress ?? null), `status of ${index}`).toBe(model.statusOf(index));
        }
        const rebuilt = await rebuild(first, conversationId);
        for (const { userId, ...unread } of rebuilt) expect(unread).toEqual(model.unreadOf(named(userId)));
        // The owner receives all moves of users who were members all the time.
        const moved = [...model.members].filter(([person, { delivered }]) => delivered > 0 && !wereAway.has(person));
        await eventually('all moves are delivered', () =>
          moved.every(([person, { delivered, read }]) => {
            const mark = observed.marks.get(viewer(person).userId);
            return mark?.delivered === delivered && mark.read === read;
          }),
        );
        expect(observed.failures).toEqual([]);
      }),
      randomCases(10),
    );
  });

  // The embedded database runs one transaction at a time.
  itOnce(
    'agree with the messages after concurrent operations, and never move back',
    {
      timeout: CASES_TIMEOUT_MS,
    },
    async () => {
      let [marked, sent, deleted] = [0, 0, 0];
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(step, { minLength: 4, maxLength: 14 }), { minLength: 4, maxLength: 6 }),
          async (rounds) => {
            const [first] = nodes as [Deps];
            const people = await makePeople(first);
            const [owner] = people as [Viewer & { username: string }];
            const {
              conversation: { id: conversationId },
            } = await createGroup(first, owner, {
              title: 'x',
              memberIds: people.slice(1).map(({ userId }) => userId),
            });
            const observed = await listen(nodes.at(-1) as Deps, owner);
            const ids: string[] = [];
            const [went, reached] = [new Set<string>(), new Map<string, Member>()];
            for (const steps of rounds) {
              // Steps refer to messages from before their round.
              const there = [...ids];
              const perform = async ({ act, who, ...rest }: Step, index: number) => {
                const deps = nodes[index % nodes.length] as Deps;
                const me = people[who] as (typeof people)[number];
                const {
                  seq: far = 0,
                  which = 0,
                  whom = [],
                } = rest as { seq?: number; which?: number; whom?: number[] };
                const seq = far % (there.length + 1);
                const text = `${index} ${whom.map((each) => `@${people[each]?.username ?? 'everyone'}`).join(', ')}`;
                const messageId = there[which % (there.length || 1)];
                if (act === 'send') {
                  ids.push((await sendMessage(deps, me, { conversationId, text })).id);
                  sent += 1;
                } else if (act === 'edit' && messageId !== undefined) await editMessage(deps, me, { messageId, text });
                else if (act === 'delete' && messageId !== undefined) {
                  // Every other deletion is by the owner of the group.
                  await deleteMessage(deps, index % 2 === 0 ? owner : me, messageId);
                  deleted += 1;
                } else if (act === 'leave' && who !== 0) {
                  went.add(me.userId);
                  await leaveConversation(deps, me, conversationId);
                } else if (act === 'join') {
                  await addMembers(deps, owner, { conversationId, userIds: [me.userId] });
                } else if (act === 'deliver' && far % 3 === 0) {
                  await acknowledge(deps, me, { cursor: deps.feed.now.cursor, conversationId });
                } else if (act === 'read' || act === 'deliver') {
                  await (act === 'read' ? markRead : markDelivered)(deps, me, { conversationId, seq });
                  marked += 1;
                  const before = reached.get(me.userId) ?? { delivered: 0, read: 0 };
                  reached.set(me.userId, {
                    delivered: Math.max(before.delivered, seq),
                    read: act === 'read' ? Math.max(before.read, seq) : before.read,
                  });
                }
              };
              const ended = await Promise.allSettled(steps.map(perform));
              for (const one of ended) {
                // The user may not be a member at the time, or the message belongs to another user or is deleted.
                if (one.status === 'rejected') {
                  expect(['FORBIDDEN', 'NOT_FOUND', 'BAD_USER_INPUT', 'CONFLICT']).toContain(one.reason.code);
                }
              }
            }
            const { db } = first.database;
            const rebuilt = await rebuild(first, conversationId);
            for (const { userId, ...unread } of rebuilt) {
              const [found] = await findUnread(db, userId, [conversationId]);
              expect(found).toEqual(unread);
              expect(await countUnread(db, userId)).toBe(unread.messages);
            }
            const { latestSeq } = await db.conversation.findUniqueOrThrow({ where: { id: conversationId } });
            for (const { userId, deliveredSeq, readSeq } of await db.mark.findMany({ where: { conversationId } })) {
              expect(readSeq).toBeLessThanOrEqual(deliveredSeq);
              expect(deliveredSeq).toBeLessThanOrEqual(latestSeq);
              // The marks of a user who leaves and joins again start again.
              const mine = went.has(userId) ? undefined : reached.get(userId);
              expect(deliveredSeq).toBeGreaterThanOrEqual(mine?.delivered ?? 0);
              expect(readSeq).toBeGreaterThanOrEqual(mine?.read ?? 0);
            }
            expect(observed.failures.filter((userId) => !went.has(userId))).toEqual([]);
          },
        ),
        randomCases(8),
      );
      // Otherwise, nothing would have been tested.
      expect(Math.min(marked, sent, deleted)).toBeGreaterThan(0);
    },
  );
});
