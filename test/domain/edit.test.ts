import { beforeAll, describe, expect, it } from 'vitest';
import { decodeGlobalId } from '../../src/core/ids.js';
import type { RunningNode } from '../../src/server/start.js';
import { connectInTest, type Json, listen, type Person, registerAll } from '../support/client.js';
import { detailModes, inOneMode, makePlace, modes, sharedNode, smallLimits } from '../support/place.js';
import { attempt, createGroup, edit, openDirect, pin, react, remove, reply, send, trySend } from '../support/talk.js';

const EDITS = `query ($id: ID!, $first: Int, $after: String) { node(id: $id) { ... on Message {
  text editedAt viewerCanEdit
  edits(first: $first, after: $after) { nodes { text at } pageInfo { hasNextPage endCursor } }
} } }`;
const rowId = (id: string) => decodeGlobalId(id, 'id').id;

describe.each(modes)('edited messages in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let ana: Person;
  let bob: Person;
  let carol: Person;
  let dan: Person;
  let group: string;
  beforeAll(async () => {
    node = await sharedNode(mode, smallLimits);
    [ana, bob, carol, dan] = await registerAll(node.url, 'ana', 'bob', 'carol', 'dan');
    group = await createGroup(ana, [bob, carol]);
  });

  const ask = async (person: Person, id: string, args: Json = {}) => (await person.ask(EDITS, { id, ...args })).node;
  const textsOf = async (person: Person, id: string) =>
    (await ask(person, id)).edits?.nodes.map(({ text }: Json) => text) ?? null;
  /** As if a message had been sent so long ago. */
  const age = (id: string, ms: number) =>
    node.deps.database.db.message.update({
      where: { id: rowId(id) },
      data: { createdAt: new Date(Date.now() - ms) },
    });
  const minute = 60_000;

  it('list their earlier texts with times, newest first, in pages', async () => {
    const sent = await send(bob, group, 'one');
    expect(await textsOf(bob, sent.id)).toEqual([]);
    const second = await edit(bob, sent.id, 'two');
    await edit(bob, sent.id, 'three');
    const { edits } = await ask(carol, sent.id, { first: 1 });
    expect(edits.nodes).toEqual([{ text: 'two', at: second.editedAt }]);
    expect(edits.pageInfo.hasNextPage).toBe(true);
    const rest = await ask(carol, sent.id, { first: 1, after: edits.pageInfo.endCursor });
    expect(rest.edits.nodes).toEqual([{ text: 'one', at: sent.createdAt }]);
    expect(rest.edits.pageInfo.hasNextPage).toBe(false);
  });

  it('keep only the first and the newest of very many earlier texts', async () => {
    const { id } = await send(bob, group, 'one');
    for (const text of ['two', 'three', 'four', 'five', 'six']) await edit(bob, id, text);
    expect(await textsOf(carol, id)).toEqual(['five', 'four', 'one']);
  });

  itOnce('do not store a version if the text is the same', async () => {
    const { id } = await send(bob, group, 'the same');
    await edit(bob, id, ' the same ');
    expect(await ask(bob, id)).toMatchObject({ editedAt: null, edits: { nodes: [] } });
  });

  itOnce('hide earlier texts from outsiders, and from members who cannot see the message', async () => {
    const { id } = await send(bob, group, 'secret');
    await edit(bob, id, 'public');
    expect(await ask(dan, id)).toBeNull();
    const own = await createGroup(ana, [bob], { historyVisibility: 'SINCE_JOINED' });
    const before = await send(ana, own, 'before');
    await edit(ana, before.id, 'before, edited');
    await attempt(ana, 'addMembers', { conversationId: own, userIds: [dan.id] });
    await edit(ana, before.id, 'edited once more');
    expect(await ask(dan, before.id)).toBeNull();
    expect(await textsOf(bob, before.id)).toEqual(['before, edited', 'before']);
  });

  itOnce('can be edited until the time limit, as viewerCanEdit shows', async () => {
    const { id } = await send(bob, group, 'typo');
    await age(id, 59 * minute);
    expect((await ask(bob, id)).viewerCanEdit).toBe(true);
    expect((await ask(ana, id)).viewerCanEdit).toBe(false);
    await edit(bob, id, 'no typo');
    await age(id, 60 * minute);
    expect((await ask(bob, id)).viewerCanEdit).toBe(false);
    expect(await attempt(bob, 'editMessage', { messageId: id, text: 'too late' })).toBe('FORBIDDEN');
    expect((await ask(bob, id)).text).toBe('no typo');
    // Deleting has no such limit.
    expect((await remove(bob, id)).deletedAt).not.toBeNull();
    const { serverInfo } = await bob.ask('{ serverInfo { limits { messageEditWindowSeconds } } }');
    expect(serverInfo.limits.messageEditWindowSeconds).toBe(3_600);
  });

  itOnce('have viewerCanEdit computed for the sender and others in one event, also after the time limit', async () => {
    const query = 'subscription { messages { type messageId message { viewerCanEdit } } }';
    const streams = await Promise.all(
      [ana, bob, bob].map(async (person) => {
        const stream = listen(connectInTest(node.url, person.token), query);
        await stream.until(({ type }) => type === 'CAUGHT_UP');
        return stream;
      }),
    );
    const { id } = await send(bob, group, 'of an hour ago');
    const seen = (type: string) =>
      Promise.all(
        streams.map(
          async (stream) =>
            (await stream.until((event) => event.messageId === id && event.type === type)).message.viewerCanEdit,
        ),
      );
    expect(await seen('SENT')).toEqual([false, true, true]);
    await age(id, 60 * minute);
    await react(carol, id, '👍');
    expect(await seen('REACTED')).toEqual([false, false, false]);
  });

  it('lose all content except a tombstone when they are deleted', async () => {
    const secret = `secret of ${Date.now()}`;
    const { id } = await send(bob, group, `${secret}, one @${carol.username}`, 'a key of what is deleted');
    await edit(bob, id, `${secret}, two @${carol.username}`);
    await react(carol, id, '👍');
    await pin(ana, id);
    const answer = await reply(carol, group, id, 'an answer');
    await remove(ana, id);
    const MESSAGE = `id text deletedAt editedAt pinnedAt viewerCanEdit viewerCanDelete viewerReactions replyCount
      mentions { id } reactions { emoji } edits { nodes { text } }`;
    const { node: quoted } = await carol.ask(
      `query ($id: ID!) { node(id: $id) { ... on Message { text replyTo { ${MESSAGE} } } } }`,
      { id: answer.id },
    );
    expect(quoted).toMatchObject({
      text: 'an answer',
      replyTo: {
        ...{ id, text: null, pinnedAt: null, viewerCanEdit: false, viewerCanDelete: false, viewerReactions: [] },
        ...{ replyCount: 1, mentions: [], reactions: [], edits: { nodes: [] } },
      },
    });
    expect(quoted.replyTo.deletedAt).not.toBeNull();
    // Neither the text nor a hash of it is in the database.
    const { db } = node.deps.database;
    for (const [table] of await tables()) {
      const rows = await db.$queryRawUnsafe<object[]>(
        `SELECT 1 FROM "${table}" t WHERE t::text LIKE $1`,
        `%${secret}%`,
      );
      expect(rows, table).toEqual([]);
    }
    expect(await db.message.findUnique({ where: { id: rowId(id) } })).toMatchObject({ text: null, inputHash: null });
    for (const count of [
      await db.reaction.count({ where: { messageId: rowId(id) } }),
      await db.reactionGroup.count({ where: { messageId: rowId(id) } }),
      await db.messageVersion.count({ where: { messageId: rowId(id) } }),
    ]) {
      expect(count).toBe(0);
    }
    // A repeated send with its key returns the tombstone.
    const { data } = await trySend(bob, group, `${secret}, one @${carol.username}`, 'a key of what is deleted');
    expect(data.sendMessage.message).toMatchObject({ id, text: null });
  });

  const tables = async () =>
    (
      await node.deps.database.db.$queryRaw<{ name: string }[]>`
        SELECT table_name AS name FROM information_schema.tables
        WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'`
    ).map(({ name }) => [name]);

  it('are replayed as ERASED if their row was removed from the database', async () => {
    const own = await createGroup(ana, [bob]);
    const { id } = await send(bob, own, 'to be taken out');
    const { viewer } = await ana.ask('{ viewer { syncCursor } }');
    await edit(bob, id, 'edited');
    await node.deps.database.db.message.delete({ where: { id: rowId(id) } });
    const query = `subscription ($after: String) { messages(after: $after) {
      type messageId changeSeq actor { id } message { id }
    } }`;
    const stream = listen(connectInTest(node.url, ana.token), query, { after: viewer.syncCursor });
    const erased = await stream.until(({ messageId }) => messageId === id);
    expect(erased).toMatchObject({ type: 'ERASED', message: null });
    expect(erased.changeSeq).toBeGreaterThan(1);
  });
});

describe.each(detailModes)('messages without an edit time limit in %s mode', (mode) => {
  let node: RunningNode;
  beforeAll(async () => {
    const place = await makePlace(mode);
    node = await place.start({ MESSAGE_VERSIONS_FOR: 'moderators', MESSAGE_EDIT_WINDOW: 'forever' });
  });

  it('show earlier texts only to the sender and moderators if it is configured', async () => {
    const { url, deps } = node;
    const [owner, sender, reader] = await registerAll(url, 'owner', 'sender', 'reader');
    const textsOf = async (person: Person, id: string) =>
      (await person.ask(EDITS, { id })).node.edits?.nodes.map(({ text }: Json) => text) ?? null;
    const group = await createGroup(owner, [sender, reader]);
    const { id } = await send(sender, group, 'one');
    await deps.database.db.message.update({ where: { id: rowId(id) }, data: { createdAt: new Date(0) } });
    await edit(sender, id, 'two');
    expect(await textsOf(owner, id)).toEqual(['one']);
    expect(await textsOf(sender, id)).toEqual(['one']);
    expect(await textsOf(reader, id)).toBeNull();
    const direct = await openDirect(owner, sender);
    const inDirect = await send(owner, direct, 'one');
    await edit(owner, inDirect.id, 'two');
    expect([await textsOf(owner, inDirect.id), await textsOf(sender, inDirect.id)]).toEqual([['one'], null]);
    const { serverInfo } = await owner.ask('{ serverInfo { limits { messageEditWindowSeconds } } }');
    expect(serverInfo.limits.messageEditWindowSeconds).toBeNull();
  });
});
