import fc from 'fast-check';
import { RedisPubSub } from 'graphql-redis-subscriptions';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { editMessage } from '../../src/domain/edit/edit.service.js';
import { createGroup } from '../../src/domain/group/group.service.js';
import { addMembers, removeMember } from '../../src/domain/group/membership.service.js';
import {
  deleteMessage,
  type MessageEvent,
  sendMessage,
  streamMessages,
} from '../../src/domain/message/message.service.js';
import { pinMessage } from '../../src/domain/pin/pin.service.js';
import { addReaction, removeReaction } from '../../src/domain/reaction/reaction.service.js';
import { findReactions, noReactions, type Reactions } from '../../src/domain/reaction/reaction.store.js';
import type { Message } from '../../src/generated/prisma/client.js';
import type { Deps } from '../../src/platform/deps.js';
import type { Viewer } from '../../src/platform/viewer.js';
import type { RunningNode } from '../../src/server/start.js';
import { eventually } from '../support/client.js';
import { CASES_TIMEOUT_MS, randomCases } from '../support/exhaustive.js';
import { makePlace, modes, type Place } from '../support/place.js';
import { makeViewers } from '../support/viewers.js';

// Random interleavings of writes on any node, lost wake-ups, sweeps, disconnects and resumes. The state that a
// subscriber derives from its events must be that of the database.

type Step =
  | { do: 'send' | 'edit' | 'delete' | 'react' | 'unreact' | 'pin'; node: number; group: number; pick: number }
  | { do: 'cut' | 'resume'; who: number; node: number }
  | { do: 'lose' | 'keep' }
  | { do: 'sweep'; node: number }
  | { do: 'remove' | 'add'; node: number; group: number };

const nat = fc.nat({ max: 3 });
const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ do: fc.constant('send' as const), node: nat, group: nat, pick: nat }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constantFrom('edit' as const, 'delete' as const),
        node: nat,
        group: nat,
        pick: nat,
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constantFrom('react' as const, 'unreact' as const, 'pin' as const),
        node: nat,
        group: nat,
        pick: nat,
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constantFrom('cut' as const, 'resume' as const), who: nat, node: nat }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('lose' as const, 'keep' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('sweep' as const), node: nat }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constantFrom('remove' as const, 'add' as const), node: nat, group: nat }),
    },
  ),
  { minLength: 5, maxLength: 40 },
) as fc.Arbitrary<Step[]>;

/** The state of a message that a client derives. */
const whatIsKnown = ({ text, deletedAt, pinnedAt }: Message, { groups, byPerson }: Reactions) => ({
  text,
  deleted: deletedAt !== null,
  pinned: pinnedAt !== null,
  reactions: groups.map(({ emoji, count }) => `${emoji} ${count}`),
  byPerson,
});

/** A subscriber that is disconnected, and resumes with the last cursor. `known` contains the messages of its events. */
class Subscriber {
  readonly viewer: Viewer;
  readonly conversationId: string | null;
  /** The state of each message according to its last event. */
  readonly known = new Map<string, ReturnType<typeof whatIsKnown>>();
  #cursor: string | undefined;
  #stop: (() => void) | undefined;
  /** The number of the last change of each conversation in the present stream. */
  #last = new Map<string, number>();
  failure: unknown;

  constructor(viewer: Viewer, conversationId: string | null) {
    this.viewer = viewer;
    this.conversationId = conversationId;
  }

  async resume(deps: Deps): Promise<void> {
    if (this.#stop) return;
    const { conversationId } = this;
    const stream = await streamMessages(deps, this.viewer, {}, { conversationId, after: this.#cursor });
    this.#last = new Map();
    let stopped = false;
    this.#stop = () => {
      stopped = true;
      void stream.return?.();
    };
    void (async () => {
      for await (const event of stream) if (!stopped) this.#take(event);
    })().catch((error: unknown) => {
      this.failure = error;
    });
  }

  cut(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  #take(event: MessageEvent): void {
    this.#cursor = event.cursor;
    if (!('change' in event)) return;
    const { conversationId, changeSeq, data } = event.change;
    const last = this.#last.get(conversationId) ?? 0;
    if (changeSeq <= last) this.failure = new Error(`${changeSeq} came after ${last}`);
    this.#last.set(conversationId, changeSeq);
    if (data.message) this.known.set(data.message.id, whatIsKnown(data.message, data.message.parts.reactions));
  }
}

describe.each(modes)('any interleaving in %s mode', (mode) => {
  let place: Place;
  let nodes: RunningNode[];
  beforeAll(async () => {
    place = await makePlace(mode);
    // The queue is so short that catching up overflows it.
    const env = { SWEEP_INTERVAL: '1h', STREAM_QUEUE_MAX: '200' };
    nodes = await Promise.all(Array.from({ length: mode === 'postgresql' ? 2 : 1 }, () => place.start(env)));
    await eventually('the nodes are connected', () => nodes.every(({ deps }) => deps.bus.connected));
  });
  /** While it is true, published wake-ups are lost. */
  let losing = false;
  beforeEach(() => {
    const { publish } = RedisPubSub.prototype;
    vi.spyOn(RedisPubSub.prototype, 'publish').mockImplementation(function (this: RedisPubSub, channel, text) {
      return losing ? Promise.resolve() : publish.call(this, channel, text);
    });
  });
  afterEach(() => void vi.restoreAllMocks());

  it(
    'leaves every subscriber with the state of the database',
    async () => {
      const at = (index: number): Deps => (nodes[index % nodes.length] as RunningNode).deps;
      await fc.assert(
        fc.asyncProperty(steps, async (sequence) => {
          const people = await makeViewers(at(0), 3);
          const [owner, member, newcomer] = people as [Viewer, Viewer, Viewer];
          const groups = await Promise.all(
            [1, 2].map((number) =>
              createGroup(at(0), owner, { title: `${number}`, memberIds: [member.userId, newcomer.userId] }),
            ),
          );
          const groupIds = groups.map(({ conversation }) => conversation.id);
          const subscribers = [
            new Subscriber(owner, null),
            new Subscriber(member, null),
            new Subscriber(member, groupIds[0] ?? ''),
            new Subscriber(newcomer, null),
          ];
          for (const [index, subscriber] of subscribers.entries()) await subscriber.resume(at(index));
          const sent: string[][] = [[], []];
          let writes = 0;
          // Sends run concurrently with the following steps, like those of several callers.
          const pending: Promise<unknown>[] = [];
          for (const step of sequence) {
            if (step.do === 'lose' || step.do === 'keep') losing = step.do === 'lose';
            else if (step.do === 'sweep') pending.push(at(step.node).feed.sweep());
            else if (step.do === 'cut') subscribers[step.who]?.cut();
            else if (step.do === 'resume') await subscribers[step.who]?.resume(at(step.node));
            else if (step.do === 'send' || step.do === 'add' || step.do === 'remove') {
              const conversationId = groupIds[step.group % 2] ?? '';
              const deps = at(step.node);
              writes += 1;
              const userId = newcomer.userId;
              if (step.do === 'add') pending.push(addMembers(deps, owner, { conversationId, userIds: [userId] }));
              else if (step.do === 'remove') pending.push(removeMember(deps, owner, { conversationId, userId }));
              else {
                const sending = sendMessage(deps, owner, { conversationId, text: `text ${writes}` });
                pending.push(sending.then(({ id }) => sent[step.group % 2]?.push(id)));
              }
            } else if ('pick' in step) {
              const messageId = sent[step.group % 2]?.at(-1 - step.pick);
              if (messageId === undefined) continue;
              writes += 1;
              const deps = at(step.node);
              const reaction = { messageId, emoji: step.pick % 2 ? '👍' : '🎉' };
              const who = step.group % 3 ? owner : member;
              // A deleted message cannot be reacted to or pinned.
              if (step.do === 'react') pending.push(addReaction(deps, who, reaction).catch(() => {}));
              if (step.do === 'unreact') pending.push(removeReaction(deps, who, reaction));
              if (step.do === 'pin') pending.push(pinMessage(deps, owner, messageId).catch(() => {}));
              if (step.do === 'delete') pending.push(deleteMessage(at(step.node), owner, messageId));
              // A deleted message cannot be edited.
              if (step.do === 'edit')
                await editMessage(at(step.node), owner, { messageId, text: `edited ${writes}` }).catch(() => {});
            }
          }
          await Promise.all(pending);
          losing = false;
          for (const [index, subscriber] of subscribers.entries()) await subscriber.resume(at(index + 1));
          await Promise.all(nodes.map(({ deps }) => deps.feed.sweep()));
          const { db } = at(0).database;
          // The member who was removed and added again need not know the messages in between.
          for (const subscriber of subscribers.slice(0, 3)) {
            const ids = subscriber.conversationId === null ? groupIds : [subscriber.conversationId];
            const rows = await db.message.findMany({ where: { conversationId: { in: ids } } });
            const reactions = await findReactions(
              db,
              rows.map(({ id }) => id),
            );
            const truth = new Map(
              rows.map((row, index) => [row.id, whatIsKnown(row, reactions[index] ?? noReactions)]),
            );
            await eventually('the subscriber is up to date', () => same(subscriber.known, truth)).catch(() =>
              expect(Object.fromEntries(subscriber.known)).toEqual(Object.fromEntries(truth)),
            );
          }
          for (const subscriber of subscribers) {
            expect(subscriber.failure).toBeUndefined();
            subscriber.cut();
          }
        }),
        randomCases(10),
      );
    },
    CASES_TIMEOUT_MS,
  );
});

function same(a: Map<string, object>, b: Map<string, object>): boolean {
  return a.size === b.size && [...a].every(([id, value]) => JSON.stringify(value) === JSON.stringify(b.get(id)));
}
