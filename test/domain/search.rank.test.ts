import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { idOf } from '../../src/core/ids.js';
import { RANKED_TERMS_MAX } from '../../src/domain/search/search.query.js';
import type { RunningNode } from '../../src/server/start.js';
import { type Json, type Person, registerAll } from '../support/client.js';
import { detailModes, makePlace } from '../support/place.js';
import { openDirect, send } from '../support/talk.js';

const SEARCH = `query ($query: String!, $first: Int, $after: String) {
  searchMessages(query: $query, first: $first, after: $after) { nodes { seq } pageInfo { hasNextPage endCursor } }
}`;

const han = (index: number) => String.fromCodePoint(0x4e00 + (index % 5_000));

describe.each(detailModes)('the rank of matches in %s mode', (mode) => {
  let node: RunningNode;
  let ana: Person;
  let ben: Person;
  beforeAll(async () => {
    node = await (await makePlace(mode)).start({ SEARCH_PHRASE_BYTES_MAX: '1000000' });
    [ana, ben] = await registerAll(node.url, 'ana', 'ben');
  });

  /** The numbers of the matches in the order of the results, over all pages. */
  async function found(query: string, first = 50): Promise<number[]> {
    const seqs: number[] = [];
    for (let after: string | null = null, more = true; more; ) {
      const page: Json = (await ana.ask(SEARCH, { query, first, after })).searchMessages;
      seqs.push(...page.nodes.map(({ seq }: Json) => seq));
      ({ hasNextPage: more, endCursor: after } = page.pageInfo);
    }
    return seqs;
  }

  it.each([
    ['words', Array.from({ length: RANKED_TERMS_MAX + 1 }, (_, index) => `${mode}word${index}`)],
    [
      'single characters',
      Array.from({ length: RANKED_TERMS_MAX + 1 }, (_, index) => String.fromCodePoint(0x7000 + 2 * index)),
    ],
  ])('decides their order up to a number of terms, and their age beyond it: %s', async (_what, words) => {
    const direct = await openDirect(ana, ben);
    // The older message contains the words more often and next to each other, so that it matches best.
    const best = await send(ana, direct, `${words.join(' ')} ${words.join(' ')}`);
    const newest = await send(ana, direct, words.join(' and some more words '));
    expect(await found(words.slice(1).join(' '))).toEqual([best.seq, newest.seq]);
    expect(await found(words.join(' '))).toEqual([newest.seq, best.seq]);
  });

  it('is calculated for the newest matches up to a number of bytes; the others follow, newest first', async () => {
    const direct = await openDirect(ana, ben);
    const best = await send(ana, direct, 'needle needle');
    const long = Array.from({ length: 7_990 }, (_, at) => han(at * 7)).join('');
    const seqs = [best.seq];
    // The index entry of each message has 126 kB.
    for (let count = 0; count < 5; count += 1) seqs.push((await send(ana, direct, `needle ${long}`)).seq);
    const newestFirst = (all: number[]) => [...all].sort((one, other) => other - one);
    expect(await found('needle')).toEqual([best.seq, ...newestFirst(seqs.slice(1))]);
    for (let count = 0; count < 30; count += 1) seqs.push((await send(ana, direct, `needle ${long}`)).seq);
    expect(await found('needle')).toEqual(newestFirst(seqs));
    expect(await found('needle', 7)).toEqual(newestFirst(seqs));
  });

  it('does not check more than SEARCH_PHRASE_BYTES_MAX bytes for a phrase', async () => {
    const direct = await openDirect(ana, ben);
    const conversationId = idOf('Conversation', direct, 'id');
    const long = Array.from({ length: 7_980 }, (_, at) => han(at * 7)).join('');
    const old = await send(ana, direct, 'silver thread');
    expect(await found('"silver thread"')).toEqual([old.seq]);
    const wide = await send(ana, direct, `thread silver ${long}`);
    const { db } = node.deps.database;
    const copy = async (from: number, to: number) => {
      await db.$executeRaw`
        INSERT INTO messages (id, conversation_id, seq, sender_id, text, created_at, search)
        SELECT gen_random_uuid(), conversation_id, seq + n, sender_id, text, created_at, search
        FROM messages, generate_series(${from}::int, ${to}::int) AS n
        WHERE conversation_id = ${conversationId}::uuid AND seq = ${wide.seq}::int`;
      await db.conversation.update({ where: { id: conversationId }, data: { latestSeq: wide.seq + to } });
    };
    // The index entry of each message has 126 kB.
    await copy(1, 5);
    expect(await found('"silver thread"')).toEqual([old.seq]);
    await copy(6, 8);
    expect(await found('"silver thread"')).toEqual([]);
    const recent = await send(ana, direct, 'silver thread');
    expect(await found('"silver thread"')).toEqual([recent.seq]);
    expect(await found(`"silver thread" before:${wide.createdAt}`)).toEqual([old.seq]);
  });

  it('computes snippets only if they are requested', async () => {
    const direct = await openDirect(ana, ben);
    await send(ana, direct, 'a marble');
    const slices = vi.spyOn(node.deps, 'slices');
    onTestFinished(() => slices.mockRestore());
    expect(await found('marble')).toHaveLength(1);
    expect(slices).not.toHaveBeenCalled();
    await ana.ask('{ searchMessages(query: "marble") { edges { node { id } snippet } } }');
    expect(slices).toHaveBeenCalledTimes(1);
  });
});
