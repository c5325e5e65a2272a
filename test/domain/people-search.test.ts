import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { newId } from '../../src/core/ids.js';
import { foldWords } from '../../src/core/text/fold.js';
import {
  findPeople,
  peopleStatement,
  searchWordsOf,
  type WordCount,
  wordCountsStatement,
} from '../../src/domain/user/user.store.js';
import { Prisma } from '../../src/generated/prisma/client.js';
import type { Db } from '../../src/infra/database/database.js';
import { makePlace, modes, servicesFound } from '../support/place.js';

interface Named {
  username: string;
  displayName: string;
}

const person = ({ username, displayName }: Named) => ({
  id: newId(),
  username,
  usernameKey: username.toLowerCase(),
  displayName,
  searchWords: searchWordsOf({ username, displayName }),
});

const counting = (text: string) => [...text].slice(0, 32).join('');

/** The usernames that a search must find, in order, according to a simple model of its documentation. */
function expected(people: readonly Named[], search: string): string[] {
  const words = foldWords(search).map(counting);
  const asTyped = search.trim().toLowerCase();
  return people
    .filter(({ username, displayName }) => {
      const own = [username.toLowerCase(), ...foldWords(displayName)];
      const named = words.length > 0 && words.every((word) => own.some((other) => other.startsWith(word)));
      return named || (/[a-z0-9_.-]/.test(asTyped) && username.toLowerCase().startsWith(asTyped));
    })
    .map(({ username }) => username)
    .sort((a, b) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1));
}

/** The usernames of all pages with this size. */
async function pages(db: Db, search: string, size: number): Promise<string[]> {
  const found: string[] = [];
  let from: readonly [string] | undefined;
  for (;;) {
    const rows = await findPeople(db, search, { size, backward: false, from });
    const page = rows.slice(0, size);
    found.push(...page.map(({ username }) => username));
    const last = page.at(-1);
    if (rows.length <= size || !last) return found;
    from = [last.usernameKey];
  }
}

const word = fc.oneof(
  fc.constantFrom('Ana', 'anna', 'ÁNA', 'Zoë', 'Иван', 'Ива', '王', '王芳', 'Ñ', 'İpek', 'Maria', 'María', 'محمد'),
  fc.string({ unit: fc.constantFrom('a', 'b', 'á', 'B', 'я', '芳', '\u{1d400}', '9'), minLength: 1, maxLength: 4 }),
  fc.integer({ min: 30, max: 34 }).map((length) => 'w'.repeat(length)),
);
const displayName = fc
  .array(word, { minLength: 1, maxLength: 3 })
  .chain((words) => fc.constantFrom(' ', '-', " '").map((between) => words.join(between).slice(0, 80)));
const username = fc.string({ unit: fc.constantFrom(...'aAbBnz09_.-'), minLength: 3, maxLength: 8 });
const crowd = fc.uniqueArray(fc.record({ username, displayName }), {
  maxLength: 25,
  selector: (one) => one.username.toLowerCase(),
});

describe.each(modes)('a search for users in %s mode', (mode) => {
  let db: Db;
  beforeAll(async () => {
    db = (await (await makePlace(mode)).start()).deps.database.db;
  });

  const search = fc.oneof(
    fc.array(word, { maxLength: 3 }).map((words) => words.join(' ')),
    username,
    fc.tuple(displayName, fc.nat(8)).map(([name, length]) => name.slice(0, length)),
    fc.tuple(username, fc.nat(4)).map(([name, length]) => name.slice(0, length)),
  );

  it('finds the same users as a scan of all users, page by page, after renames and deletions', {
    timeout: 60_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(
        crowd,
        fc.array(fc.tuple(fc.nat(24), fc.constantFrom('rename', 'rekey', 'delete', 'erase'), displayName), {
          maxLength: 6,
        }),
        fc.array(search, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 4 }),
        async (people, changes, searches, size) => {
          await db.user.deleteMany();
          await db.user.createMany({ data: people.map(person) });
          const there = new Map(people.map((one) => [one.username, one]));
          for (const [index, change, name] of changes) {
            const one = there.get(people[index]?.username ?? '');
            if (!one) continue;
            const where = { usernameKey: one.username.toLowerCase() };
            if (change === 'rename') {
              const renamed = { ...one, displayName: name };
              there.set(one.username, renamed);
              await db.user.update({ where, data: { displayName: name, searchWords: searchWordsOf(renamed) } });
            } else {
              there.delete(one.username);
              if (change === 'erase') await db.user.delete({ where });
              else if (change === 'delete') await db.user.update({ where, data: { deletedAt: new Date() } });
              else {
                const rekeyed = { ...one, username: `x${index}${one.username}` };
                if ([...there.values()].some((other) => other.username === rekeyed.username)) {
                  await db.user.delete({ where });
                  continue;
                }
                const { id: _, ...data } = person(rekeyed);
                await db.user.update({ where, data });
                there.set(rekeyed.username, rekeyed);
              }
            }
          }
          for (const text of searches) {
            expect(await pages(db, text, size), text).toEqual(expected([...there.values()], text));
            // For so few users, the statement looks users up one by one. Joining lists must find the same.
            const page = { size: 50, backward: false, from: undefined };
            const counting = wordCountsStatement(text, page);
            if (!counting) continue;
            const counts = await db.$queryRaw<WordCount[]>(counting);
            const many = peopleStatement(
              text,
              page,
              counts.map((one) => ({ ...one, count: 1_000_000 })),
            );
            const rows = await db.$queryRaw<{ username_key: string }[]>(many as Prisma.Sql);
            expect(
              rows.map((row) => row.username_key),
              text,
            ).toEqual(expected([...there.values()], text).map((name) => name.toLowerCase()));
          }
          const kept = await db.namePrefix.findMany({ distinct: ['usernameKey'], select: { usernameKey: true } });
          const keys = [...there.values()].map((one) => one.username.toLowerCase());
          expect(keys).toEqual(expect.arrayContaining(kept.map(({ usernameKey }) => usernameKey)));
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe.skipIf(!servicesFound)('the plan of a search among many users', () => {
  const PEOPLE = 30_000;
  const STEP = 2_000;
  let db: Db;
  beforeAll(async () => {
    db = (await (await makePlace('postgresql')).start()).deps.database.db;
    // In steps, each of which stays far below the time limit of statements on slow machines as well.
    for (let from = 1; from <= PEOPLE; from += STEP) {
      await db.$executeRaw`
        INSERT INTO users (id, username, username_key, display_name, search_words)
        SELECT gen_random_uuid(), username, username, first || ' ' || last, ARRAY[username, first, last]
        FROM generate_series(${from}::int, ${from + STEP - 1}::int) AS number,
             LATERAL (SELECT (ARRAY['anna', 'maria', 'марк', 'zoe'])[1 + number % 4] AS first,
                             CASE WHEN number % 1000 = 0 THEN 'quist' ELSE (ARRAY['garcia', 'adler', 'zander'])[1 + number % 3] END AS last) AS name,
             LATERAL (SELECT CASE number % 2 WHEN 0 THEN 'user' ELSE 'x.' END || number AS username) AS own`;
    }
    await db.$executeRaw`VACUUM ANALYZE users`;
    await db.$executeRaw`VACUUM ANALYZE name_prefixes`;
  });

  interface Plan {
    'Node Type': string;
    'Actual Rows': number;
    'Actual Loops': number;
    'Relation Name'?: string;
    'Rows Removed by Filter'?: number;
    Plans?: Plan[];
  }

  const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];

  it.each([
    ['a common word', 'anna', 51],
    ['a letter', 'a', 51],
    ['a rare word', 'quist', 51],
    ['a word that no user has', 'qqq', 0],
    ['a word in Cyrillic', 'Марк', 51],
    ['the beginning of a username', 'user1', 51],
    ['the beginning of a username with a dot', 'x.1', 51],
    // Rows with only one of the words are read too: those of the rarer word, or of both if both are frequent.
    ['a common and a rare word', 'anna quist', 200],
    ['two words', 'mar gar', 1_500],
    ['two common words', 'a gar', 3_000],
  ])('for %s reads a limited number of rows by index', async (_, search, most) => {
    for (const from of [undefined, ['user2'] as const]) {
      const page = { size: 50, backward: false, from };
      const counting = wordCountsStatement(search, page);
      const counts = counting && (await db.$queryRaw<WordCount[]>(counting));
      const statement = peopleStatement(search, page, counts);
      const [row] = await db.$queryRaw<[{ 'QUERY PLAN': [{ Plan: Plan }] }]>(
        Prisma.sql`EXPLAIN (ANALYZE, FORMAT JSON) ${statement as Prisma.Sql}`,
      );
      const nodes = nodesOf(row['QUERY PLAN'][0].Plan);
      expect(nodes.filter((node) => node['Node Type'] === 'Seq Scan')).toEqual([]);
      const touched = nodes
        .filter((node) => node['Relation Name'] !== undefined)
        .reduce(
          (sum, node) => sum + node['Actual Loops'] * (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)),
          0,
        );
      expect(touched).toBeLessThanOrEqual(most);
    }
  });
});
