import { beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../src/core/ids.js';
import { parseQuery, rankTemplatesOf, templatesOf } from '../../src/domain/search/search.query.js';
import {
  findMatches,
  type MatchRequest,
  matchStatement,
  planning,
  RANKED_MAX,
} from '../../src/domain/search/search.store.js';
import { PART_BITS, searchVectorOf } from '../../src/domain/search/search.terms.js';
import { Prisma } from '../../src/generated/prisma/client.js';
import type { Database } from '../../src/infra/database/database.js';
import { makePlace, modes } from '../support/place.js';

/** One long conversation, which is indexed in several parts, and many short ones. */
const LONG = 10_000;
const SHORT = 150;
const EACH = 40;
const PARTS = SHORT + (LONG >> PART_BITS) + 1;

/** Some messages have an image. */
const attachmentsOf = (seq: number) =>
  seq % 10 === 0 ? [{ kind: 'IMAGE' as const, filename: `IMG_${seq}.jpg`, altText: null }] : [];

interface Plan {
  'Node Type': string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Rows Removed by Filter'?: number;
  Plans?: Plan[];
}
const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];

describe.each(modes)('the plan of a search among many messages in %s mode', (mode) => {
  let database: Database;
  /** Members of all conversations, of the long one, and of a few short ones. */
  let everywhere: string;
  let inLong: string;
  let inFew: string;
  beforeAll(async () => {
    database = (await (await makePlace(mode)).start()).deps.database;
    const { db } = database;
    const ids = Array.from({ length: 3 }, newId);
    [everywhere, inLong, inFew] = ids as [string, string, string];
    await db.user.createMany({
      data: ids.map((id, index) => ({
        id,
        username: `plan${index}`,
        usernameKey: `plan${index}`,
        displayName: 'x',
        searchWords: [],
      })),
    });
    const sizes = [LONG, ...new Array<number>(SHORT).fill(EACH)];
    const conversations = sizes.map((latestSeq, number) => ({
      id: newId(),
      kind: 'GROUP' as const,
      createdById: everywhere,
      latestSeq,
      lastActivityAt: new Date(Date.UTC(2026, 0, 1) + number * 60_000 + LONG * 1_000),
    }));
    await db.conversation.createMany({ data: conversations });
    const of = (userId: string, from: number, to: number) =>
      conversations.slice(from, to).map(({ id }) => ({ id: newId(), conversationId: id, userId }));
    await db.membership.createMany({
      data: [...of(everywhere, 0, sizes.length), ...of(inLong, 0, 1), ...of(inFew, 1, 4)],
    });
    for (const [number, { id: conversationId, latestSeq, lastActivityAt }] of conversations.entries()) {
      for (let from = 1; from <= latestSeq; from += 2_000) {
        const messages = Array.from({ length: Math.min(2_000, latestSeq + 1 - from) }, (_, index) => {
          const seq = from + index;
          const rare = seq === 7 && number % 50 === 0 ? ' quistfeld' : '';
          const text = `common ${seq % 2 ? 'odd' : 'even'} word${seq % 97}${rare}`;
          const createdAt = new Date(lastActivityAt.getTime() - (latestSeq - seq) * 1_000);
          return {
            id: newId(),
            conversationId,
            seq,
            senderId: everywhere,
            text,
            createdAt,
            mentionedIds: [],
            mentionsEveryone: false,
          };
        });
        await database.sql.query(Prisma.sql`
          INSERT INTO messages (id, conversation_id, seq, sender_id, text, created_at, search)
          SELECT id, conversation_id, seq, ${everywhere}::uuid, text, at::timestamptz, search::tsvector
          FROM unnest(${messages.map(({ id }) => id)}::uuid[], ${messages.map((one) => one.conversationId)}::uuid[],
            ${messages.map(({ seq }) => seq)}::int[], ${messages.map(({ text }) => text)}::text[],
            ${messages.map(({ createdAt }) => createdAt.toISOString())}::text[], ${messages.map((message) => searchVectorOf(message, attachmentsOf(message.seq)))}::text[])
            AS given (id, conversation_id, seq, text, at, search)`);
      }
    }
    await db.$executeRaw`VACUUM ANALYZE messages`;
    await db.$executeRaw`ANALYZE conversations, memberships`;
  }, 120_000);

  const requestOf = (userId: string, text: string): MatchRequest => {
    const query = parseQuery(text);
    return {
      userId,
      within: undefined,
      notWithin: [],
      since: query.since,
      until: query.until,
      templates: templatesOf(query, [], []),
      rankTemplates: rankTemplatesOf(query),
      phraseBytesMax: 16_777_216,
    };
  };
  const first = { size: 20, backward: false, from: undefined };

  // The maximum number of rows of messages that a search may read.
  it.each([
    ['a rare word of many conversations', () => everywhere, 'quistfeld', 4],
    ['a word of nobody', () => everywhere, 'nothing', 0],
    ['a common word of many conversations', () => everywhere, 'common', RANKED_MAX + EACH],
    ['a common word of a long one', () => inLong, 'common', RANKED_MAX + (1 << PART_BITS)],
    ['a common word of a few', () => inFew, 'common', 3 * EACH],
    ['a common and a rare word', () => everywhere, 'common quistfeld', 4],
    ['the beginning of words', () => inFew, 'wor', 3 * EACH],
    ['adjacent words', () => inFew, '"common odd"', 3 * EACH],
    ['images of a few', () => inFew, 'has:image', 3 * (EACH / 10)],
    ['a file name', () => everywhere, 'img_30.jpg', SHORT + 1],
    ['a rare word of before', () => everywhere, 'quistfeld before:2027', 4],
    ['a common word of a day that has not come', () => everywhere, 'common after:2027', 0],
  ])('for %s reads a limited number of messages by index', async (_, userId, text, most) => {
    const request = requestOf(userId(), text);
    for (const from of [undefined, [new Date(Date.UTC(2028, 0)), 50, new Date(Date.UTC(2026, 6)), newId()] as const]) {
      const plan = await database.sql.transaction(async (tx) => {
        await tx.query(planning);
        const statement = matchStatement(request, { ...first, from });
        const [row] = await tx.query<{ 'QUERY PLAN': [{ Plan: Plan; JIT?: object }] }>(
          Prisma.sql`EXPLAIN (ANALYZE, FORMAT JSON) ${statement}`,
        );
        const explained = row?.['QUERY PLAN'];
        return (typeof explained === 'string' ? JSON.parse(explained) : explained)[0] as { Plan: Plan; JIT?: object };
      });
      expect(plan.JIT).toBeUndefined();
      const nodes = nodesOf(plan.Plan);
      expect(nodes.filter((node) => node['Node Type'] === 'Seq Scan')).toEqual([]);
      const searched = nodes.filter((node) => node['Index Name'] === 'messages_search_idx');
      expect(searched).toHaveLength(1);
      expect(searched[0]?.['Actual Loops']).toBeLessThanOrEqual(PARTS);
      const read = nodes
        .filter((node) => node['Node Type'] === 'Bitmap Heap Scan' && node['Relation Name'] === 'messages')
        .reduce(
          (sum, node) => sum + node['Actual Loops'] * (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)),
          0,
        );
      // PostgreSQL reports the rounded average of rows per loop.
      expect(read).toBeLessThanOrEqual(most + (searched[0]?.['Actual Loops'] ?? 0) / 2);
      const looked = nodes
        .filter((node) => node['Relation Name'] === 'messages' && node['Node Type'].startsWith('Index'))
        .reduce(
          (sum, node) => sum + node['Actual Loops'] * (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)),
          0,
        );
      expect(looked).toBeLessThanOrEqual(2 * PARTS);
    }
  });

  it('ranks a limited number of matches of a common word, the newest ones', async () => {
    const page = async (size: number, userId: string) =>
      findMatches(database, requestOf(userId, 'common'), { ...first, size });
    expect(await page(RANKED_MAX + 500, everywhere)).toHaveLength(RANKED_MAX);
    const found = await page(100, inLong);
    const times = found.map(({ createdAt }) => createdAt.getTime());
    expect(times).toEqual([...times].sort((a, b) => b - a));
    // The newest matches of the long conversation, from two parts; all have the same rank.
    expect(times[0]).toBe(Date.UTC(2026, 0, 1) + LONG * 1_000);
    expect(await page(RANKED_MAX + 500, inLong)).toHaveLength(RANKED_MAX);
  });
});
