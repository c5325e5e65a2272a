import { beforeAll, describe, expect, it } from 'vitest';
import { DRAFT_SAVED, recordDraftChange } from '../../src/domain/draft/draft.events.js';
import { lockCounts } from '../../src/domain/user/user.store.js';
import type { RunningNode } from '../../src/server/start.js';
import { connectInTest, type Json, listen, type Person, registerAll } from '../support/client.js';
import { changesOf, follower, rowId, syncCursorOf, untilDelivered } from '../support/durable-streams.js';
import { scrape } from '../support/metrics.js';
import { inOneMode, makePlace, modes, startTwo, waitingFor } from '../support/place.js';
import { attempt, createGroup, openDirect, remove, send } from '../support/talk.js';

const DRAFT = 'id text updatedAt conversation { id } replyTo { id text }';
const DRAFTS = `{ viewer { drafts { ${DRAFT} } } }`;
const VIEWER_CHANGES = `subscription ($after: String) {
  viewerChanges(after: $after) { type cursor replayed changeSeq draftId draft { ${DRAFT} } }
}`;
const NODE = `query ($id: ID!) { node(id: $id) { ... on Draft { ${DRAFT} } } }`;

const save = (person: Person, conversationId: string, text: string, replyToId?: string) =>
  attempt(person, 'saveDraft', { conversationId, text, replyToId }, `draft { ${DRAFT} }`);
/** Saves a draft and returns it. Throws if that is refused. */
async function saved(person: Person, conversationId: string, text: string, replyToId?: string): Promise<Json> {
  const answer = await save(person, conversationId, text, replyToId);
  if (typeof answer === 'string') throw new Error(answer);
  return answer.draft;
}
const draftsOf = async (person: Person): Promise<Json[]> => (await person.ask(DRAFTS)).viewer.drafts;
const follow = follower('viewerChanges', VIEWER_CHANGES);

describe.each(modes)('drafts in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let other: RunningNode;
  beforeAll(async () => {
    // With this interval, events are delivered by wake-ups and not by the sweep.
    [node, other] = await startTwo(await makePlace(mode), {
      SWEEP_INTERVAL: '1h',
      DRAFTS_MAX: '3',
      MESSAGE_MAX_CHARS: '20',
      METRICS_PORT: '0',
    });
  });

  it('saves, replaces and deletes one draft per conversation, and delivers each change to the other devices', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const [direct, group] = [await openDirect(ana, bob), await createGroup(ana, [bob])];
    const stream = await follow(ana, other.url);
    const first = await saved(ana, direct, ' Hel');
    expect(first).toMatchObject({ text: ' Hel', conversation: { id: direct }, replyTo: null });
    const second = await saved(ana.at(other.url), direct, 'Hello ');
    expect(second.id).toBe(first.id);
    expect(Date.parse(second.updatedAt)).toBeGreaterThanOrEqual(Date.parse(first.updatedAt));
    const inGroup = await saved(ana, group, 'a plan');
    expect(await draftsOf(ana)).toEqual([inGroup, second]);
    expect((await ana.ask(NODE, { id: second.id })).node).toEqual(second);
    for (const blank of [' \n\u200b', '']) expect(await saved(ana, direct, blank)).toBeNull();
    expect(await draftsOf(ana)).toEqual([inGroup]);
    await untilDelivered(stream, 4);
    expect(
      changesOf(stream).map(({ type, draft, changeSeq }) => [type, draft.text, draft.conversation.id, changeSeq]),
    ).toEqual([
      ['DRAFT_SAVED', ' Hel', direct, 1],
      ['DRAFT_SAVED', 'Hello ', direct, 2],
      ['DRAFT_SAVED', 'a plan', group, 3],
      ['DRAFT_DELETED', '', direct, 4],
    ]);
    expect(changesOf(stream)[0]?.draft).toEqual(first);
    expect(changesOf(stream).at(-1)).toMatchObject({ replayed: false, draftId: first.id, draft: { id: first.id } });
  });

  itOnce('records no change when the same text is saved again', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    const stream = await follow(ana, node.url);
    const first = await saved(ana, direct, 'Hello');
    expect(await saved(ana, direct, 'Hello')).toEqual(first);
    await saved(ana, direct, 'Hello!');
    await untilDelivered(stream, 2);
    expect(changesOf(stream).map(({ draft }) => draft.text)).toEqual(['Hello', 'Hello!']);
  });

  itOnce('keeps the last write of concurrent ones, and delivers them in the same order to every device', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    const streams = [await follow(ana, node.url), await follow(ana, other.url)];
    const texts = ['a', 'b', '', 'c', 'd', '', 'e', 'f'];
    await Promise.all(texts.map((text, index) => saved(ana.at(index % 2 ? other.url : node.url), direct, text)));
    await saved(ana, direct, 'the last');
    const [draft] = await draftsOf(ana);
    expect(draft.text).toBe('the last');
    for (const stream of streams) {
      await stream.until((event) => event.draft?.text === 'the last');
      const numbers = changesOf(stream).map(({ changeSeq }) => changeSeq);
      expect(numbers).toEqual(numbers.map((_number, index) => index + 1));
    }
    const [one, two] = streams.map(changesOf).map((events) => events.map(({ type, draft }) => `${type} ${draft.text}`));
    expect(one).toEqual(two);
  });

  itOnce('hides drafts from everybody but their author', async () => {
    const [ana, bob, outsider] = await registerAll(node.url, 'ana', 'bob', 'outsider');
    const group = await createGroup(ana, [bob], { visibility: 'PUBLIC' });
    const [his, messages] = [
      await follow(bob, other.url),
      listen(connectInTest(other.url, bob.token), 'subscription { messages { type message { text } } }'),
    ];
    await messages.until(({ type }) => type === 'CAUGHT_UP');
    const draft = await saved(ana, group, 'a secret');
    for (const person of [bob, outsider]) {
      expect(await draftsOf(person)).toEqual([]);
      expect((await person.ask(NODE, { id: draft.id })).node).toBeNull();
    }
    // His own draft is delivered after everything that he would receive of hers.
    await saved(bob, group, 'his own');
    await send(bob, group, 'marker');
    await untilDelivered(his, 1);
    await messages.until(({ message }) => message?.text === 'marker');
    expect(changesOf(his).map(({ draft: { text } }) => text)).toEqual(['his own']);
    expect(messages.events.flatMap(({ message }) => message?.text ?? [])).toEqual(['marker']);
    expect(await save(outsider, group, 'mine')).toBe('FORBIDDEN input.conversationId');
    const hidden = await createGroup(ana, []);
    expect(await save(outsider, hidden, 'mine')).toBe('NOT_FOUND input.conversationId');
  });

  it('stores a draft as a reply, and shows its message only if the viewer can see it', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const group = await createGroup(ana, [], { historyVisibility: 'SINCE_JOINED' });
    const before = await send(ana, group, 'before');
    await attempt(ana, 'addMembers', { conversationId: group, userIds: [bob.id] });
    const after = await send(ana, group, 'after');
    const draft = await saved(bob, group, '', after.id);
    expect(draft).toMatchObject({ text: '', replyTo: { id: after.id, text: 'after' } });
    expect(await save(bob, group, 'to it', before.id)).toBe('NOT_FOUND input.replyToId');
    const elsewhere = await send(bob, await openDirect(bob, ana), 'elsewhere');
    expect(await save(bob, group, 'to it', elsewhere.id)).toBe('NOT_FOUND input.replyToId');
    const { id, seq } = await send(ana, group, 'not his to see');
    expect((await saved(bob, group, 'to it', id)).replyTo.id).toBe(id);
    // The message is hidden from him, as if he had joined later.
    await node.deps.database.db.membership.updateMany({
      where: { conversationId: rowId(group), userId: rowId(bob.id) },
      data: { hiddenToSeq: seq },
    });
    expect(await draftsOf(bob)).toMatchObject([{ text: 'to it', replyTo: null }]);
    await remove(ana, after.id);
    expect(await saved(ana, group, 'to what was deleted', after.id)).toMatchObject({ replyTo: { text: null } });
    expect(await saved(ana, group, 'to nothing')).toMatchObject({ text: 'to nothing', replyTo: null });
  });

  itOnce('refuses drafts that are too long, and more than DRAFTS_MAX', async () => {
    const [ana, ...others] = await registerAll(node.url, 'ana', 'bob', 'carol', 'dave', 'erin');
    const directs: string[] = [];
    for (const person of others) directs.push(await openDirect(ana, person));
    const answers = await Promise.all(
      directs.map((id, index) => save(ana.at(index % 2 ? other.url : node.url), id, 'text')),
    );
    expect(answers.filter((answer) => answer === 'FORBIDDEN input.conversationId')).toHaveLength(1);
    const used: string[] = (await draftsOf(ana)).map(({ conversation }) => conversation.id);
    const [one = ''] = used;
    const left = directs.find((id) => !used.includes(id)) ?? '';
    // Existing drafts can be changed, and deleting one makes room for another.
    await saved(ana, one, 'another');
    expect(await save(ana, left, 'one too many')).toBe('FORBIDDEN input.conversationId');
    await saved(ana, one, '');
    await saved(ana, left, 'the second');
    // The limit is that of a message.
    expect((await saved(ana, left, 'x'.repeat(20))).text).toHaveLength(20);
    const { errors } = await ana.request(
      'mutation ($input: SaveDraftInput!) { saveDraft(input: $input) { draft { id } } }',
      { input: { conversationId: left, text: 'x'.repeat(21) } },
    );
    expect(errors?.[0]?.extensions).toMatchObject({
      code: 'BAD_USER_INPUT',
      field: 'input.text',
      limit: 'draftMaxChars',
    });
    expect((await ana.ask('{ serverInfo { limits { draftsMax draftMaxChars } } }')).serverInfo.limits).toEqual({
      draftsMax: 3,
      draftMaxChars: 20,
    });
  });

  it('deletes the draft of a member who leaves or is removed, and delivers the deletion', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const [one, two] = [await createGroup(ana, [bob]), await createGroup(ana, [bob])];
    const [first, second] = [await saved(bob, one, 'first'), await saved(bob, two, 'second')];
    const stream = await follow(bob, other.url);
    await attempt(bob, 'leaveConversation', { conversationId: one });
    await attempt(ana, 'removeMember', { conversationId: two, userId: bob.id });
    await untilDelivered(stream, 2);
    expect(changesOf(stream).map(({ type, draftId, draft }) => [type, draftId, draft])).toEqual([
      ['DRAFT_DELETED', first.id, null],
      ['DRAFT_DELETED', second.id, null],
    ]);
    expect(await draftsOf(bob)).toEqual([]);
    // A new membership starts without a draft, and its draft has another id.
    await attempt(ana, 'addMembers', { conversationId: one, userIds: [bob.id] });
    expect(await draftsOf(bob)).toEqual([]);
    expect((await saved(bob, one, 'third')).id).not.toBe(first.id);
  });

  it('resumes on any node with the latest change of each draft', async () => {
    const [ana, bob, carol] = await registerAll(node.url, 'ana', 'bob', 'carol');
    const [direct, group, left] = [
      await openDirect(ana, bob),
      await createGroup(ana, [bob]),
      await createGroup(bob, [ana]),
    ];
    const kept = await saved(ana, group, 'kept');
    for (const text of ['seen before', '']) await saved(ana, await openDirect(ana, carol), text);
    await node.deps.feed.sweep();
    const after = await syncCursorOf(ana);
    await attempt(ana, 'addContact', { userId: carol.id });
    await saved(ana, direct, 'one');
    await saved(ana, left, 'two');
    await attempt(ana, 'leaveConversation', { conversationId: left });
    await saved(ana, group, 'three');
    await saved(ana, direct, 'four');
    await saved(ana, group, '');
    const resumed = await follow(ana, other.url, after);
    expect(
      changesOf(resumed).map(({ type, replayed, draft, draftId }) => [
        type,
        replayed,
        draft?.text,
        draftId === kept.id,
      ]),
    ).toEqual([
      ['DRAFT_DELETED', true, undefined, false],
      ['DRAFT_SAVED', true, 'four', false],
      ['DRAFT_DELETED', true, '', true],
    ]);
    // Only the cursor of the second sweep after an event is certain to contain it.
    for (const _twice of [1, 2]) await other.deps.feed.sweep();
    const { cursor } = await resumed.until(({ type }) => type === 'CHECKPOINT');
    const again = await follow(ana, node.url, cursor);
    await saved(ana, direct, 'five');
    await untilDelivered(again, 1);
    expect(changesOf(again)[0]).toMatchObject({ type: 'DRAFT_SAVED', replayed: false, draft: { text: 'five' } });
  });

  itOnce('delivers no draft in an event that is read after its author has left', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const group = await createGroup(ana, [bob]);
    const stream = await follow(bob, other.url);
    const { db } = node.deps.database;
    const draft = await db.draft.findFirst({ where: { membershipId: rowId((await saved(bob, group, 'text')).id) } });
    await attempt(bob, 'leaveConversation', { conversationId: group });
    await untilDelivered(stream, 2);
    // Announces the draft as it was before he left.
    if (draft) await node.deps.database.transaction(async (tx) => recordDraftChange(tx, DRAFT_SAVED, draft, { draft }));
    await untilDelivered(stream, 3);
    expect(changesOf(stream).at(-1)).toMatchObject({ type: 'DRAFT_SAVED', draft: null });
  });

  it('deletes drafts together with the account', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    await saved(ana, await openDirect(ana, bob), 'a secret');
    const stream = await follow(ana, other.url);
    await attempt(ana, 'deleteAccount', { password: ana.password });
    await stream.ended;
    const { db } = node.deps.database;
    expect(await db.draft.count({ where: { userId: rowId(ana.id) } })).toBe(0);
  });

  it('deletes the drafts of an account that a node of version 0.1.0 deletes', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    for (const person of [ana, bob]) await saved(person, await openDirect(ana, bob), 'a secret');
    const { db } = node.deps.database;
    await db.user.update({ where: { id: rowId(ana.id) }, data: { deletedAt: new Date() } });
    const left = await db.draft.findMany({ where: { userId: { in: [ana, bob].map(({ id }) => rowId(id)) } } });
    expect(left.map(({ userId }) => userId)).toEqual([rowId(bob.id)]);
  });

  it.runIf(mode === 'postgresql')(
    'leaves no draft behind that is saved while its author is being removed',
    async () => {
      const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
      const group = await createGroup(ana, [bob]);
      const stream = await follow(bob, other.url);
      const { db } = node.deps.database;
      let saving: Promise<Json> = Promise.resolve();
      let removing: Promise<Json> = Promise.resolve();
      await db.$transaction(
        async (tx) => {
          // Saving the draft waits for this row, after it has read that he is a member.
          await tx.$queryRaw`
          INSERT INTO personal_logs (user_id, change_seq) VALUES (${rowId(bob.id)}::uuid, 0)
          ON CONFLICT (user_id) DO UPDATE SET change_seq = personal_logs.change_seq`;
          saving = save(bob, group, 'text');
          await waitingFor(node, 1);
          removing = attempt(ana, 'removeMember', { conversationId: group, userId: bob.id });
          await waitingFor(node, 2);
        },
        { timeout: 20_000 },
      );
      expect((await saving).draft.text).toBe('text');
      expect(await removing).toMatchObject({});
      await untilDelivered(stream, 2);
      expect(changesOf(stream).map(({ type }) => type)).toEqual(['DRAFT_SAVED', 'DRAFT_DELETED']);
      expect(await db.draft.count({ where: { userId: rowId(bob.id) } })).toBe(0);
    },
  );

  it.runIf(mode === 'postgresql')(
    'replaces a draft that another device has just saved as the last one that is allowed',
    async () => {
      const [ana, bob, carol, dave] = await registerAll(node.url, 'ana', 'bob', 'carol', 'dave');
      for (const person of [bob, carol]) await saved(ana, await openDirect(ana, person), 'text');
      const last = await openDirect(ana, dave);
      const saving = await node.deps.database.transaction(async (tx) => {
        // Both wait for this lock, after they have read that there is no draft yet.
        await lockCounts(tx, 'drafts', [rowId(ana.id)]);
        const both = [node, other].map(({ url }, index) => saved(ana.at(url), last, `text ${index}`));
        await waitingFor(node, 2);
        return both;
      });
      const drafts = await Promise.all(saving);
      expect(drafts.map(({ text }) => text)).toEqual(['text 0', 'text 1']);
      expect(await draftsOf(ana)).toHaveLength(3);
    },
  );

  it.runIf(mode === 'postgresql')(
    'deletes an account and removes its user from a group at the same time without a deadlock',
    async () => {
      const [ana, bob, carol] = await registerAll(node.url, 'ana', 'bob', 'carol');
      const group = await createGroup(ana, [bob]);
      await saved(bob, group, 'text');
      await attempt(carol, 'addContact', { userId: bob.id });
      const deadlocks = async () => (await scrape(node)).value('parley_database_deadlocks_total');
      const before = await deadlocks();
      const acts = await node.deps.database.transaction(async (tx) => {
        // The deletion waits for this row, and the removal waits for the deletion.
        await tx.$queryRaw`SELECT FROM personal_logs WHERE user_id = ${rowId(bob.id)}::uuid FOR UPDATE`;
        const deleting = attempt(bob, 'deleteAccount', { password: bob.password });
        await waitingFor(node, 1);
        const removing = attempt(ana, 'removeMember', { conversationId: group, userId: bob.id });
        await waitingFor(node, 2);
        return [deleting, removing];
      });
      expect(await Promise.all(acts)).toMatchObject([{}, {}]);
      expect(await deadlocks()).toBe(before);
      expect(await node.deps.database.db.draft.count({ where: { userId: rowId(bob.id) } })).toBe(0);
    },
  );
});
