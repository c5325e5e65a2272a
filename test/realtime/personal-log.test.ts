import fc from 'fast-check';
import { RedisPubSub } from 'graphql-redis-subscriptions';
import { afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { decodeGlobalId } from '../../src/core/ids.js';
import { DRAFT_DELETED, DRAFT_SAVED, type DraftChanged } from '../../src/domain/draft/draft.events.js';
import { saveDraft } from '../../src/domain/draft/draft.service.js';
import { createGroup } from '../../src/domain/group/group.service.js';
import { addMembers, removeMember } from '../../src/domain/group/membership.service.js';
import { messageChangeTypes } from '../../src/domain/message/message.events.js';
import { setAvailability } from '../../src/domain/presence/presence.service.js';
import { streamViewerChanges, type ViewerChangeEvent } from '../../src/domain/viewer-changes/viewer-changes.stream.js';
import type { Deps } from '../../src/platform/deps.js';
import type { Viewer } from '../../src/platform/viewer.js';
import type { Listener } from '../../src/realtime/audience.js';
import type { RunningNode } from '../../src/server/start.js';
import { connectInTest, eventually, type Json, listen, registerAll } from '../support/client.js';
import { CASES_TIMEOUT_MS, randomCases } from '../support/exhaustive.js';
import { makePlace, modes } from '../support/place.js';
import { attempt } from '../support/talk.js';
import { makeViewers } from '../support/viewers.js';

const CONTACTS = 'subscription { contacts { type changeSeq replayed user { id } } }';

type Step =
  | { do: 'save' | 'clear'; node: number; group: number; pick: number }
  | { do: 'set'; node: number; pick: number }
  | { do: 'remove' | 'add'; node: number; group: number }
  | { do: 'cut' | 'resume'; who: number; node: number }
  | { do: 'lose' | 'keep' }
  | { do: 'sweep'; node: number };

const nat = fc.nat({ max: 2 });
const step = <Name extends Step['do'], Fields extends string = never>(names: Name[], ...fields: Fields[]) =>
  fc.record({ do: fc.constantFrom(...names), ...Object.fromEntries(fields.map((field) => [field, nat])) });
const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: step(['save', 'clear'], 'node', 'group', 'pick') },
    { weight: 3, arbitrary: step(['set'], 'node', 'pick') },
    { weight: 2, arbitrary: step(['remove', 'add'], 'node', 'group') },
    { weight: 4, arbitrary: step(['cut', 'resume'], 'who', 'node') },
    { weight: 2, arbitrary: step(['lose', 'keep']) },
    { weight: 1, arbitrary: step(['sweep'], 'node') },
  ),
  { minLength: 5, maxLength: 40 },
) as fc.Arbitrary<Step[]>;

const availabilities = ['ONLINE', 'AWAY', 'BUSY'] as const;

/** A device that applies events, is disconnected, and resumes with the last cursor. */
class Device {
  /** The texts of drafts by their ids. */
  readonly drafts = new Map<string, string>();
  readonly #viewer: Viewer;
  #cursor: string;
  #stop: (() => void) | undefined;
  #last = 0;
  failure: unknown;

  constructor(viewer: Viewer, cursor: string) {
    this.#viewer = viewer;
    this.#cursor = cursor;
  }

  async resume(deps: Deps): Promise<void> {
    if (this.#stop) return;
    const stream = await streamViewerChanges(deps, this.#viewer, {}, this.#cursor);
    this.#last = 0;
    let stopped = false;
    this.#stop = () => {
      stopped = true;
      void stream.return();
    };
    void (async () => {
      for await (const event of stream) if (!stopped) this.#take(event as ViewerChangeEvent);
    })().catch((error: unknown) => {
      this.failure = error;
    });
  }

  cut(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  #take(event: ViewerChangeEvent): void {
    this.#cursor = event.cursor;
    if (!('change' in event)) return;
    const { type, changeSeq, subjectId, data } = event.change;
    if (changeSeq <= this.#last) this.failure = new Error(`${changeSeq} was delivered after ${this.#last}`);
    this.#last = changeSeq;
    if (type === DRAFT_SAVED) this.drafts.set(subjectId ?? '', (data as DraftChanged).draft?.text ?? '');
    if (type === DRAFT_DELETED) this.drafts.delete(subjectId ?? '');
  }
}

describe.each(modes)('the personal log in %s mode', (mode) => {
  let nodes: RunningNode[];
  /** While it is true, published wake-ups are lost. */
  let losing = false;
  beforeAll(async () => {
    const place = await makePlace(mode);
    nodes = await Promise.all(
      Array.from({ length: mode === 'postgresql' ? 2 : 1 }, () => place.start({ SWEEP_INTERVAL: '1h' })),
    );
    await eventually('the nodes are connected', () => nodes.every(({ deps }) => deps.bus.connected));
  });
  beforeEach(() => {
    const { publish } = RedisPubSub.prototype;
    vi.spyOn(RedisPubSub.prototype, 'publish').mockImplementation(function (this: RedisPubSub, channel, text) {
      return losing ? Promise.resolve() : publish.call(this, channel, text);
    });
  });
  afterEach(() => void vi.restoreAllMocks());

  it(
    'leaves every device with the state of the database after lost wake-ups and disconnects',
    async () => {
      const at = (index: number): Deps => (nodes[index % nodes.length] as RunningNode).deps;
      await fc.assert(
        fc.asyncProperty(steps, async (sequence) => {
          const [owner, author] = (await makeViewers(at(0), 2)) as [Viewer, Viewer];
          const { userId } = author;
          const groups = await Promise.all(
            ['one', 'two'].map((title) => createGroup(at(0), owner, { title, memberIds: [userId] })),
          );
          const { cursor } = at(0).feed.now;
          const devices = [new Device(author, cursor), new Device(author, cursor)];
          for (const [index, device] of devices.entries()) await device.resume(at(index));
          const pending: Promise<unknown>[] = [];
          for (const [index, next] of sequence.entries()) {
            const deps = at('node' in next ? next.node : 0);
            const conversationId = ('group' in next ? groups[next.group % 2] : undefined)?.conversation.id ?? '';
            // The author may just have been removed.
            if (next.do === 'save' || next.do === 'clear') {
              const text = next.do === 'save' ? `${next.pick} ${index}` : '';
              pending.push(saveDraft(deps, author, { conversationId, text, replyToId: null }).catch(() => {}));
            } else if (next.do === 'set') {
              pending.push(setAvailability(deps, author, availabilities[next.pick] ?? 'ONLINE'));
            } else if (next.do === 'add') pending.push(addMembers(deps, owner, { conversationId, userIds: [userId] }));
            else if (next.do === 'remove') pending.push(removeMember(deps, owner, { conversationId, userId }));
            else if (next.do === 'cut') devices[next.who]?.cut();
            else if (next.do === 'resume') await devices[next.who]?.resume(deps);
            else if (next.do === 'sweep') pending.push(deps.feed.sweep());
            else losing = next.do === 'lose';
          }
          await Promise.all(pending);
          losing = false;
          for (const [index, device] of devices.entries()) await device.resume(at(index + 1));
          await Promise.all(nodes.map(({ deps }) => deps.feed.sweep()));
          const rows = await at(0).database.db.draft.findMany({ where: { userId } });
          const stored = Object.fromEntries(rows.map(({ membershipId, text }) => [membershipId, text]));
          for (const device of devices) {
            const known = () => Object.fromEntries([...device.drafts].sort());
            const sorted = Object.fromEntries(Object.entries(stored).sort());
            await eventually(
              'the device has all drafts',
              () => JSON.stringify(known()) === JSON.stringify(sorted),
            ).catch(() => expect(known()).toEqual(sorted));
            expect(device.failure).toBeUndefined();
            device.cut();
          }
        }),
        randomCases(10),
      );
    },
    CASES_TIMEOUT_MS,
  );

  it('is followed from its end, also if a client subscribes to a conversation with the id of the user', async () => {
    const [node] = nodes as [RunningNode];
    const [ana, bob, carol, mallory] = await registerAll(node.url, 'ana', 'bob', 'carol', 'mallory');
    for (const { id: userId } of [bob, carol]) await attempt(ana, 'addContact', { userId });
    const received: string[] = [];
    const listener: Listener = {
      userId: decodeGlobalId(mallory.id, 'id').id,
      conversationId: decodeGlobalId(ana.id, 'id').id,
      types: [messageChangeTypes.sent.type],
      onChange: ({ change }) => void received.push(change.type),
      onProgress() {},
      onRemoved() {},
      onLost() {},
      onEnd() {},
    };
    // A subscription to a conversation adds its listener before it is rejected.
    onTestFinished(await node.deps.feed.listen(listener));
    const stream = listen(connectInTest(node.url, ana.token), CONTACTS, {}, 'contacts');
    await stream.until(({ type }) => type === 'CAUGHT_UP');
    await attempt(ana, 'addContact', { userId: mallory.id });
    await eventually('the change is delivered', () => stream.events.some(({ user }) => user?.id === mallory.id));
    const changes = stream.events.filter(({ user }: Json) => user !== null);
    expect(changes.map(({ changeSeq, replayed }: Json) => [changeSeq, replayed])).toEqual([[3, false]]);
    expect(received).toEqual([]);
  });
});
