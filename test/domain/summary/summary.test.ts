import { beforeAll, describe, expect, it } from 'vitest';
import { readDialogues } from '../../../bench/summaries/dialogues.mjs';
import { decodeGlobalId } from '../../../src/core/ids.js';
import { extract } from '../../../src/domain/summary/extractive/extract.js';
import { readTranscript } from '../../../src/domain/summary/summary.store.js';
import type { RunningNode } from '../../../src/server/start.js';
import {
  connectInTest,
  eventually,
  type Json,
  listen,
  type Person,
  register,
  registerAll,
  request,
} from '../../support/client.js';
import { makePicture, sendWith, uploaded } from '../../support/media.js';
import { inOneMode, makePlace, modes, startTwo } from '../../support/place.js';
import { fetchSummary, fill, listSummaries, PROGRESS, storedText, summarize } from '../../support/summaries.js';
import { attempt, createGroup, edit, openDirect, remove, send } from '../../support/talk.js';

const dialogues = readDialogues();
const dialogue = dialogues.find(({ title }) => title === 'Payments were down');
const timeOf = (work: () => unknown) => {
  const began = performance.now();
  work();
  return performance.now() - began;
};
const texts = (dialogue?.messages ?? []).map(({ text }) => text);

describe.each(modes)('summaries in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let other: RunningNode;
  let ana: Person;
  let ben: Person;
  beforeAll(async () => {
    const place = await makePlace(mode);
    [node, other] = await startTwo(place, { SUMMARY_MESSAGES_MAX: '3000', SUMMARIES_KEPT: '4' });
    [ana, ben] = await registerAll(node.url, 'ana', 'ben');
  });
  const add = (conversationId: string, person: Person) =>
    attempt(ana, 'addMembers', { conversationId, userIds: [person.id] });
  const markRead = (person: Person, conversationId: string, seq: number) =>
    attempt(person, 'markRead', { conversationId, seq });
  const rename = (person: Person, displayName: string) => attempt(person, 'updateProfile', { displayName });

  it('contain the unread messages by default, and each point cites its messages', async () => {
    const group = await createGroup(ana, [ben]);
    await fill(node, group, [ana, ben], texts);
    await markRead(ben, group, 5);
    const summary = await summarize(ben, group);
    expect(summary).toMatchObject({
      conversation: { id: group },
      fromSeq: 6,
      toSeq: texts.length,
      messageCount: texts.length - 5,
      stale: false,
      model: 'extractive',
    });
    expect(summary.highlights.length).toBeGreaterThan(2);
    expect(summary.highlights.length).toBeLessThanOrEqual(12);
    for (const { text, messages } of summary.highlights) {
      expect(messages.length).toBeGreaterThan(0);
      for (const cited of messages) {
        expect(cited.seq).toBeGreaterThan(5);
        const name = cited.sender.id === ana.id ? ana.username : ben.username;
        expect(text).toContain(`${name}: ${cited.text}`);
      }
    }
    expect(summary.text).toBe(summary.highlights.map(({ text }: Json) => text).join('\n'));
    expect(summary.text).toContain('14:52');
    await markRead(ben, group, texts.length);
    expect(await summarize(ben, group)).toBe('BAD_USER_INPUT input.fromSeq');
    expect(await summarize(ben, group, { fromSeq: 1, toSeq: 9 })).toMatchObject({
      fromSeq: 1,
      toSeq: 9,
      messageCount: 9,
    });
  });

  itOnce('are rejected for invalid ranges and for users who cannot read the conversation', async () => {
    const group = await createGroup(ana, [ben], { visibility: 'PUBLIC' });
    const eve = await register(node.url, 'eve');
    expect(await summarize(ben, group)).toBe('BAD_USER_INPUT input.fromSeq');
    await fill(node, group, [ana], ['hello', 'there', 'world']);
    const errors = [
      await summarize(ben, group, { fromSeq: 0 }),
      await summarize(ben, group, { toSeq: 0 }),
      await summarize(ben, group, { fromSeq: 3, toSeq: 2 }),
      await summarize(ben, group, { fromSeq: 4 }),
      await summarize(eve, group, { fromSeq: 1 }),
      await summarize(eve, await createGroup(ana, []), { fromSeq: 1 }),
      await summarize(ben, ben.id),
      (await request(node.url, '{ __typename }')).errors,
    ];
    expect(errors).toEqual([
      'BAD_USER_INPUT input.fromSeq',
      'BAD_USER_INPUT input.toSeq',
      'BAD_USER_INPUT input.toSeq',
      'BAD_USER_INPUT input.toSeq',
      'FORBIDDEN input.conversationId',
      'NOT_FOUND input.conversationId',
      'BAD_USER_INPUT input.conversationId',
      undefined,
    ]);
    // A range ends at the newest message.
    expect(await summarize(ben, group, { fromSeq: 2, toSeq: 99 })).toMatchObject({ fromSeq: 2, toSeq: 3 });
    const { errors: listed } = await eve.request(
      'query ($id: ID!) { conversation(id: $id) { summaries { nodes { id } } } }',
      { id: group },
    );
    expect(listed?.[0]?.extensions.code).toBe('FORBIDDEN');
  });

  itOnce('take replies and reactions into account', async () => {
    const group = await createGroup(ana, [ben]);
    await send(ana, group, 'before the range');
    const asked = await send(ana, group, 'which colour for the shirts?');
    const reply = async (replyToId: string, text: string) =>
      (await attempt(ben, 'sendMessage', { conversationId: group, text, replyToId }, 'message { id }')).message;
    const first = await send(ben, group, 'so hungry');
    const answer = await reply(asked.id, 'green ones');
    await attempt(ana, 'addReaction', { messageId: answer.id, emoji: '👍' });
    await attempt(ben, 'addReaction', { messageId: answer.id, emoji: '👍' });
    await attempt(ana, 'addReaction', { messageId: answer.id, emoji: '🎉' });
    const conversationId = decodeGlobalId(group, 'id').id;
    const { sql } = node.deps.database;
    const talk = await readTranscript(sql, { conversationId, fromSeq: 2, toSeq: 4 });
    expect(talk.map(({ seq, replyTo, reactions }) => ({ seq, replyTo, reactions }))).toEqual([
      { seq: 2, replyTo: undefined, reactions: undefined },
      { seq: first.seq, replyTo: undefined, reactions: undefined },
      { seq: 4, replyTo: 2, reactions: 3 },
    ]);
    // The replied message is outside of this range.
    expect(await readTranscript(sql, { conversationId, fromSeq: 3, toSeq: 4 }, [4])).toMatchObject([
      { seq: 4, replyTo: undefined },
    ]);
    const { highlights } = await summarize(ana, group, { fromSeq: 2 });
    const cited = highlights.map(({ messages }: Json) => messages.map(({ seq }: Json) => seq));
    expect(cited).toContainEqual([2, 4]);
  });

  it('are created once for concurrent requests at all nodes', async () => {
    const group = await createGroup(ana, [ben]);
    await fill(node, group, [ana, ben], texts);
    const asking = [ana, ben, ana.at(other.url), ben.at(other.url), ana, ben.at(other.url)];
    const made = await Promise.all(asking.map((person) => summarize(person, group, { fromSeq: 1 })));
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    const again = await summarize(ben, group, { fromSeq: 1 });
    expect(again).toEqual(made[0]);
    expect(await listSummaries(ben, group)).toEqual([again]);
    expect(await node.deps.database.db.summaryRun.count()).toBe(0);
  });

  it('lose texts that are edited or deleted immediately, also in the database', async () => {
    const group = await createGroup(ana, [ben]);
    for (const text of ['the secret meeting is on Friday at ten in the xylophone room', 'ok', 'ok then', 'sure']) {
      await send(ana, group, text);
    }
    const bad = await send(ben, group, 'the password of the safe is zebra9000, please write it down');
    const wrong = await send(ana, group, 'the invoice of 4000 euros must be paid to quagga until Monday');
    const before = await summarize(ana, group, { fromSeq: 1 });
    expect(before.text).toMatch(/zebra9000/);
    expect(before.text).toMatch(/quagga/);
    await remove(ben, bad.id);
    const after = await fetchSummary(ana, before.id);
    expect(after).toMatchObject({ id: before.id, stale: true });
    expect(after.highlights).toHaveLength(before.highlights.length - 1);
    expect(JSON.stringify(after)).not.toMatch(/zebra9000/);
    expect(await storedText(node)).not.toMatch(/zebra9000/);
    await edit(ana, wrong.id, 'the invoice is paid already');
    expect(JSON.stringify(await listSummaries(ben.at(other.url), group))).not.toMatch(/quagga/);
    expect(await storedText(node)).not.toMatch(/quagga/);
    const renewed = await summarize(ben, group, { fromSeq: 1 });
    expect(renewed.id).not.toBe(before.id);
    expect(renewed).toMatchObject({ stale: false, messageCount: 5 });
    expect(renewed.text).toMatch(/xylophone/);
  });

  it('mention attachments, until their message is deleted', async () => {
    const group = await createGroup(ana, [ben]);
    const sendFile = async (kind: string, bytes: Buffer, input: Json, more: Json = {}) => {
      const { id } = await uploaded(node.url, ana, bytes, { kind, ...input });
      return (await sendWith(ana, group, [id], more)).data.sendMessage.message;
    };
    const image = await sendFile('IMAGE', await makePicture('png'), { altText: 'Two quokkas' });
    await sendFile('FILE', Buffer.from('x'), { filename: 'budget.xlsx' }, { text: 'The numbers' });
    const summary = await summarize(ben, group, { fromSeq: 1 });
    expect(summary.messageCount).toBe(2);
    expect(summary.text).toContain(`${ana.username}: [image: Two quokkas]`);
    expect(summary.text).toContain(`${ana.username}: The numbers [file: budget.xlsx]`);
    await remove(ana, image.id);
    expect(JSON.stringify(await fetchSummary(ben, summary.id))).not.toMatch(/quokkas/);
    expect(await storedText(node)).not.toMatch(/quokkas/);
    expect(await summarize(ben, group, { fromSeq: 1 })).toMatchObject({ messageCount: 1 });
  });

  itOnce('do not contain a message that is deleted while they are created', async () => {
    const group = await createGroup(ana, [ben]);
    await fill(node, group, [ana, ben], texts);
    const gone = await send(ana, group, 'the contract with Okapi Ltd ends on 31 December, please tell everybody today');
    // When the range is read, the deletion holds the conversation's lock and has not been committed.
    const [made] = await Promise.all([
      summarize(ben.at(other.url), group, { fromSeq: 1, toSeq: gone.seq }),
      remove(ana, gone.id),
    ]);
    // Whichever is first, the deleted text is neither shown nor stored.
    expect(await storedText(node)).not.toMatch(/Okapi/);
    expect(JSON.stringify(await fetchSummary(ben, made.id))).not.toMatch(/Okapi/);
  });

  it('hide messages from before the viewer joined', async () => {
    const group = await createGroup(ana, [ben], { historyVisibility: 'SINCE_JOINED' });
    await send(ana, group, 'the budget of 9000 euros for the wombat was approved');
    await send(ben, group, 'great');
    const late = await register(node.url, 'late');
    await add(group, late);
    await send(ana, group, 'welcome, we meet on Tuesday at nine');
    const whole = await summarize(ana, group, { fromSeq: 1 });
    expect(whole.text).toMatch(/wombat/);
    expect(await listSummaries(late, group)).toEqual([]);
    expect(await fetchSummary(late, whole.id)).toBe(null);
    const own = await summarize(late, group, { fromSeq: 1 });
    expect(own).toMatchObject({ fromSeq: 3, toSeq: 3, messageCount: 1 });
    expect(JSON.stringify(own)).not.toMatch(/wombat/);
    expect((await listSummaries(late, group)).map(({ id }) => id)).toEqual([own.id]);
    // A member who can see all messages can see both summaries.
    expect((await listSummaries(ben, group)).map(({ id }) => id)).toEqual([own.id, whole.id]);
    expect(await summarize(late, group, { fromSeq: 1, toSeq: 2 })).toBe('BAD_USER_INPUT input.toSeq');
    await attempt(late, 'leaveConversation', { conversationId: group });
    for (const { id } of [own, whole]) expect(await fetchSummary(late, id)).toBe(null);
    expect(await summarize(late, group, { fromSeq: 1 })).toBe('NOT_FOUND input.conversationId');
  });

  itOnce('contain the current names of users', async () => {
    const carl = await register(node.url, 'carl');
    const group = await createGroup(ana, [carl]);
    await send(carl, group, 'I bring the grill and 20 sausages on Sunday <@00000000-0000-4000-8000-000000000000>');
    const { id, text } = await summarize(ana, group, { fromSeq: 1 });
    expect(text).toBe(`${carl.username}: I bring the grill and 20 sausages on Sunday`);
    await rename(carl, 'Carl the Cook');
    expect((await fetchSummary(ana, id)).text).toMatch(/^Carl the Cook: /);
    await attempt(carl, 'deleteAccount', { password: carl.password });
    expect((await fetchSummary(ana, id)).text).not.toMatch(/Carl/);
  });

  itOnce('of long conversations reuse stored parts for longer ranges', async () => {
    const group = await createGroup(ana, [ben]);
    const many = Array.from({ length: 60 }, () => dialogues.slice(0, 2).flatMap(({ messages }) => messages))
      .flat()
      .map(({ text }, index) => `${text} ${index}`);
    await fill(node, group, [ana, ben], many.slice(0, 1_700));
    const { db } = node.deps.database;
    const conversationId = decodeGlobalId(group, 'id').id;
    const parts = () =>
      db.summaryPart.findMany({
        where: { conversationId },
        orderBy: { fromSeq: 'asc' },
        select: { fromSeq: true, createdAt: true },
      });
    const first = await summarize(ana, group, { fromSeq: 1 });
    expect(first).toMatchObject({ messageCount: 1_700, toSeq: 1_700 });
    expect(first.highlights.length).toBeGreaterThan(5);
    const before = await parts();
    expect(before.map(({ fromSeq }) => fromSeq)).toEqual([1, 501, 1_001]);
    await fill(node, group, [ana, ben], many.slice(1_700, 2_100));
    expect(await summarize(ben.at(other.url), group, { fromSeq: 400 })).toMatchObject({ fromSeq: 400, toSeq: 2_100 });
    const after = await parts();
    expect(after.map(({ fromSeq }) => fromSeq)).toEqual([1, 501, 1_001, 1_501]);
    expect(after.slice(0, 3)).toEqual(before);
    expect(await summarize(ana, group, { fromSeq: 1 })).toMatchObject({ messageCount: 2_100 });
    // An edit invalidates the part that contains the message.
    await db.message.update({
      where: { conversationId_seq: { conversationId, seq: 600 } },
      data: { text: 'another text', editedAt: new Date() },
    });
    expect((await parts()).map(({ fromSeq }) => fromSeq)).toEqual([1, 1_001, 1_501]);
    // The range is too long. By default, it contains the newest unread messages.
    await fill(
      node,
      group,
      [ana],
      Array.from({ length: 1_000 }, (_, index) => `more of it ${index}`),
    );
    expect(await summarize(ana, group, { fromSeq: 1 })).toBe('BAD_USER_INPUT input.fromSeq');
    expect(await summarize(ana, group)).toMatchObject({ fromSeq: 101, toSeq: 3_100 });
  });

  // In one mode, because the worker thread does not depend on the database.
  it.skipIf(mode !== modes.at(-1))('do not block the event loop', async () => {
    const group = await createGroup(ana, [ben]);
    const talk = dialogues.flatMap(({ messages }) => messages).slice(0, 1_000);
    await fill(
      node,
      group,
      [ana, ben],
      talk.map(({ text }) => text),
    );
    const onThisThread = Math.min(...[1, 2, 3].map(() => timeOf(() => extract(talk, 12))));
    // Starts the worker thread before the measurement.
    await summarize(ana, group, { fromSeq: 1, toSeq: 10 });
    const pauses: number[] = [];
    for (const toSeq of [1_000, 999, 998]) {
      let longest = 0;
      let last = performance.now();
      const timer = setInterval(() => {
        longest = Math.max(longest, performance.now() - last);
        last = performance.now();
      }, 1);
      await summarize(ana, group, { fromSeq: 1, toSeq });
      clearInterval(timer);
      pauses.push(longest);
    }
    // One of three must be short enough, because the machine can be busy.
    expect(Math.min(...pauses)).toBeLessThan(onThisThread);
  });

  it('are listed latest first, and limited in number', async () => {
    const direct = await openDirect(ana, ben);
    await fill(node, direct, [ana, ben], texts);
    const ids = [];
    for (const toSeq of [5, 6, 7, 8, 9, 10]) ids.push((await summarize(ana, direct, { fromSeq: 1, toSeq })).id);
    const listed = await listSummaries(ben, direct);
    expect(listed.map(({ id }) => id)).toEqual(ids.slice(2).reverse());
    const page = (args: string) =>
      ben.ask(
        `query ($id: ID!) { conversation(id: $id) { summaries(${args}) { nodes { id } pageInfo { endCursor hasNextPage } } } }`,
        { id: direct },
      );
    const first = (await page('first: 3')).conversation.summaries;
    expect(first.pageInfo.hasNextPage).toBe(true);
    const rest = (await page(`first: 3, after: "${first.pageInfo.endCursor}"`)).conversation.summaries;
    expect([...first.nodes, ...rest.nodes].map(({ id }: Json) => id)).toEqual(ids.slice(2).reverse());
  });

  itOnce('are streamed with their progress, after which the stream ends', async () => {
    const group = await createGroup(ana, [ben]);
    await fill(
      node,
      group,
      [ana, ben],
      Array.from({ length: 1_200 }, (_, index) => `${texts[index % texts.length]} ${index}`),
    );
    const client = connectInTest(other.url, ben.token);
    const stream = listen(client, PROGRESS, { conversationId: group, fromSeq: 1 }, 'summaryProgress');
    expect(await stream.ended).toBe(undefined);
    const progress = stream.events.map(({ progress }) => progress);
    expect(progress.length).toBeGreaterThan(2);
    expect(progress).toEqual([...new Set(progress)].sort((a, b) => a - b));
    expect(progress.at(-1)).toBe(1);
    const { summary, ...last } = stream.events.at(-1);
    expect(last).toEqual({ conversationId: group, fromSeq: 1, toSeq: 1_200, progress: 1 });
    expect(stream.events.slice(0, -1).every((event) => event.summary === null)).toBe(true);
    expect(summary).toEqual(await summarize(ana, group, { fromSeq: 1 }));
    // A stored summary is delivered immediately.
    const again = listen(client, PROGRESS, { conversationId: group, fromSeq: 1 }, 'summaryProgress');
    await again.ended;
    expect(again.events).toEqual([{ ...last, summary }]);
    await eventually('all listeners are removed', () => other.deps.feed.listeners === 0);
  });

  itOnce('are not streamed to users who cannot read the conversation', async () => {
    const group = await createGroup(ana, [ben], { visibility: 'PUBLIC' });
    await fill(node, group, [ana], texts);
    const eve = await register(node.url, 'eve');
    const errors = async (person: Person, variables: Json) => {
      const stream = listen(connectInTest(other.url, person.token), PROGRESS, variables, 'summaryProgress');
      const [{ extensions }] = (await stream.ended) as Json;
      return `${extensions.code} ${extensions.field}`;
    };
    expect(await errors(eve, { conversationId: group })).toBe('FORBIDDEN conversationId');
    expect(await errors(eve, { conversationId: await createGroup(ana, [ben]) })).toBe('NOT_FOUND conversationId');
    expect(await errors(ben, { conversationId: group, fromSeq: 0 })).toBe('BAD_USER_INPUT fromSeq');
    await eventually('all listeners are removed', () => other.deps.feed.listeners === 0);
  });
});
