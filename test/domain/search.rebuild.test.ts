import { beforeAll, describe, expect, it } from 'vitest';
import { indexing } from '../../src/domain/search/search.index.js';
import type { RunningNode } from '../../src/server/start.js';
import { type Person, register } from '../support/client.js';
import { detailModes, makePlace, type Place } from '../support/place.js';
import { createGroup, send } from '../support/talk.js';

const SEARCH = 'query ($query: String!) { searchMessages(query: $query) { nodes { text } } }';
const PEOPLE = 'query ($search: String!) { users(search: $search) { nodes { username } } }';
const GROUPS = 'query ($search: String!) { publicConversations(search: $search) { nodes { title } } }';

describe.each(detailModes)('data that was indexed with old rules in %s mode', (mode) => {
  let place: Place;
  let node: RunningNode;
  let ana: Person;
  beforeAll(async () => {
    place = await makePlace(mode);
    node = await place.start();
    ana = await register(node.url, 'ana');
  });

  const texts = async (query: string): Promise<string[]> =>
    (await ana.ask(SEARCH, { query })).searchMessages.nodes.map(({ text }: { text: string }) => text);

  it('is found by the new rules after the rebuild, and by unaffected words before it', {
    timeout: 60_000,
  }, async () => {
    const { db } = node.deps.database;
    const group = await createGroup(ana, [], { title: 'Łódź', visibility: 'PUBLIC' });
    await db.$executeRaw`
      INSERT INTO messages (id, conversation_id, seq, text)
      SELECT lpad(seq::text, 32, '0')::uuid, id, seq, 'plain ' || seq FROM conversations, generate_series(1, 250) AS seq`;
    await db.$executeRaw`UPDATE conversations SET latest_seq = 250`;
    await indexing.of(node.deps).finish();
    await send(ana, group, 'Straße in Łódź');
    const { xmin } = (
      (await db.$queryRaw`SELECT xmin::text FROM messages WHERE text = 'plain 7'`) as { xmin: string }[]
    )[0] ?? {
      xmin: '',
    };
    await ana.ask('mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { viewer { id } } }', {
      input: { displayName: 'Łukasz' },
    });
    // As the previous version wrote it.
    await db.$executeRaw`
      UPDATE messages SET search = replace(replace(search::text, 'strasse', 'straße'), 'lodz', 'łodz')::tsvector
      WHERE text LIKE 'Stra%'`;
    await db.$executeRaw`UPDATE conversations SET search_words = '{łodz}' WHERE title = 'Łódź'`;
    await db.$executeRaw`UPDATE users SET search_words = array_replace(search_words, 'lukasz', 'łukasz')`;
    expect(await texts('strasse')).toEqual([]);
    expect(await texts('in')).toEqual(['Straße in Łódź']);
    expect((await ana.ask(PEOPLE, { search: 'lukasz' })).users.nodes).toEqual([]);

    await db.$executeRaw`INSERT INTO search_rebuilds (what) VALUES ('messages'), ('people'), ('groups')`;
    await indexing.of(node.deps).finish();
    expect(await texts('strasse lodz')).toEqual(['Straße in Łódź']);
    expect((await ana.ask(PEOPLE, { search: 'lukasz' })).users.nodes).toHaveLength(1);
    expect((await ana.ask(GROUPS, { search: 'lodz' })).publicConversations.nodes).toEqual([{ title: 'Łódź' }]);
    // Unchanged entries are not written.
    expect(await db.$queryRaw`SELECT xmin::text FROM messages WHERE text = 'plain 7'`).toEqual([{ xmin }]);
    expect(
      await db.$queryRaw`SELECT count(*)::int FROM search_rebuilds WHERE top IS NULL AND done_to IS NOT NULL`,
    ).toEqual([{ count: 3 }]);

    // A node of the previous version continues to write until it stops: the next start checks newer messages.
    await send(ana, group, 'Große Straße');
    await db.$executeRaw`UPDATE messages SET search = replace(search::text, 'grosse', 'große')::tsvector WHERE text LIKE 'Gro%'`;
    await indexing.of(node.deps).finish();
    expect(await texts('grosse')).toEqual([]);
    if (mode === 'embedded') await node.stop();
    const next = await place.start();
    await indexing.of(next.deps).finish();
    const { searchMessages } = await (await register(next.url, 'other')).ask(SEARCH, { query: 'grosse' });
    expect(searchMessages.nodes).toEqual([]);
    const [{ found } = { found: false }] = await next.deps.database.db.$queryRaw<{ found: boolean }[]>`
      SELECT search::text LIKE '%grosse%' AS found FROM messages WHERE text LIKE 'Gro%'`;
    expect(found).toBe(true);
  });
});
