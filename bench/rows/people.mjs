import { PrismaPg } from '@prisma/adapter-pg';
import { foldWords } from '../../dist/core/text/fold.js';
import { findPeople } from '../../dist/domain/user/user.store.js';
import { PrismaClient } from '../../dist/generated/prisma/client.js';
import { ask, startNode } from '../parley.mjs';
import { median, percentile } from '../statistics.mjs';

const QUERY = `query ($search: String!, $after: String) {
  users(search: $search, first: 50, after: $after) { nodes { id username displayName } pageInfo { endCursor hasNextPage } }
}`;

/** The search texts. */
const SEARCHES = [
  { kind: 'one letter', search: 'a' },
  { kind: 'one letter, at the end of usernames', search: 'z' },
  { kind: 'two letters', search: 'ma' },
  { kind: 'three letters', search: 'mar' },
  { kind: 'three letters, second page', search: 'mar', second: true },
  { kind: 'a common first name', search: 'maria' },
  { kind: 'a rare word', search: 'felsteste' },
  { kind: 'two words', search: 'mar gar' },
  { kind: 'two common words', search: 'maria garcia' },
  { kind: 'a first name and a letter', search: 'zoe m' },
  { kind: 'two separate letters', search: 'm z' },
  { kind: 'a prefix of a username', search: 'anna.12' },
  { kind: 'a word in Cyrillic', search: 'Иванов' },
  { kind: 'a word in Chinese', search: '王' },
  { kind: 'no match', search: 'maria qqqq' },
];

/** Most common first: the frequency of a name decreases with its position, as with real names. */
const FIRST =
  'Maria Mohammed Anna María Juan Ali David Ana Michael Sofía Elena Fatima Daniel Carlos Laura Иван Анна John Sarah Alexander Thomas Christian Paul Martin Marta Luis Omar Мария Zoë Chloé Jürgen Søren Åsa Łukasz İbrahim Ayşe Μαρία Γιώργος 伟 芳 さくら محمد فاطمة Amélie Björn Camila Eduardo Éva François Gabriela Gary Gareth Giulia Hannah James Kevin Lucía Mark Margaret Marcel Mariana Natalia Núria Oliver Pablo Petra Raúl Stefan Tomás Víctor Yuki Zeynep Zoran';
const LAST =
  'García Martínez Müller Smith López González Rodríguez Иванов Петров Nguyễn Kim Lee Wang Li Zhang Schmidt Schneider Fernández Pérez Silva Santos Johnson Williams Brown Jones Miller Taylor Anderson Martin Kowalski Novák Johansson Nielsen Иванова Смирнова Παπαδόπουλος 王 李 田中 佐藤 Yılmaz Kaya Rossi Ferrari Dubois Durand Lefèvre Petit Garnier Gardner O’Brien Murphy Popescu Horváth Nagy Krüger Weiß Zimmermann Zander Zhou Ahmed Khan Singh Kumar Patel Al-Sayed Cohen Haddad';
/** The syllables of rare names, which have three each. */
const SYLLABLES = 'ba ke lo mi nu ra ste tho vi wen zar dor fel gri hol ji ca pe sil or'.split(' ');
const SLOTS = 20_000;
/** The share of people with one of the names above; the others have rare names. */
const COMMON = 0.7;
const RARE = 5_000;
/** One of this many people has deleted their account. */
const GONE = 50;

export const people = {
  key: 'people',
  title: 'Searching a million people',
  /** Only with --long, because filling the database takes minutes. */
  long: true,
  async measure(world, { quick, runs, say }) {
    const size = quick ? 50_000 : 1_000_000;
    const searches = quick ? 10 : 100;
    const began = performance.now();
    await fill(world, size);
    say(`people: ${size} there after ${((performance.now() - began) / 1_000).toFixed(0)} s`);
    const seen = SEARCHES.map(() => []);
    for (let run = 1; run <= runs; run += 1) {
      const results = await searchAll(world, searches);
      for (const [index, result] of results.entries()) seen[index].push(result);
      const slowest = Math.max(...results.map(({ p50 }) => p50));
      say(`people, run ${run}: the slowest kind of search p50 ${slowest.toFixed(2)} ms`);
    }
    const of = (index, field) => median(seen[index].map((result) => result[field]));
    const [{ prefixes }] = await world.place.query(
      `SELECT pg_total_relation_size('name_prefixes')::float / ${size} AS prefixes`,
    );
    return {
      targets: [
        {
          what: `the slowest kind of search among ${size} people: median of \`findPeople\`, ms`,
          atMost: 20,
          ratio: Math.max(...SEARCHES.map((_, index) => of(index, 'p50'))),
        },
      ],
      tables: [
        {
          title: `A page of 50, ${searches} sequential requests; ms`,
          head: ['Search', 'query', 'found', '`findPeople` p50', 'p99', 'over HTTP p50', 'p99'],
          lines: SEARCHES.map(({ kind, search }, index) => [
            kind,
            `\`${search}\``,
            seen[index][0].found,
            of(index, 'p50').toFixed(2),
            of(index, 'p99').toFixed(2),
            of(index, 'http50').toFixed(2),
            of(index, 'http99').toFixed(2),
          ]),
        },
      ],
      notes: [
        `${COMMON * 100} % have one of ${FIRST.split(' ').length} first and ${LAST.split(' ').length} last names in several scripts, with decreasing frequency; the others have rare names. One in ${GONE} accounts is deleted. Filled with generate_series, then VACUUM ANALYZE.`,
        `Search data per person: ${Math.round(prefixes)} bytes, including the index.`,
      ],
    };
  },
};

/** A list in which each name occurs according to its frequency; each person draws one entry. */
function slotsOf(names, step) {
  const weights = names.map((_, place) => 1 / (place + 6));
  const sum = weights.reduce((all, weight) => all + weight, 0);
  const slots = names.flatMap((name, place) =>
    new Array(Math.round((SLOTS * COMMON * weights[place]) / sum)).fill(name),
  );
  const { length } = SYLLABLES;
  for (let number = 0; slots.length < SLOTS; number += 1) {
    const at = ((number % RARE) * step) % length ** 3;
    const word = [at, at / length, at / length ** 2].map((part) => SYLLABLES[Math.floor(part) % length]).join('');
    slots.push(word[0].toUpperCase() + word.slice(1));
  }
  return slots;
}

async function fill({ place }, size) {
  const names = [slotsOf(FIRST.split(' '), 7), slotsOf(LAST.split(' '), 3)];
  const words = names.map((list) => list.map((name) => foldWords(name).join(' ')));
  await place.query(
    `WITH first AS MATERIALIZED (SELECT * FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS slot (name, words, number)),
          last AS MATERIALIZED (SELECT * FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS slot (name, words, number)),
          named AS (
            SELECT first.name || ' ' || last.name AS name, first.words || ' ' || last.words AS words, n % ${GONE} = 0 AS gone,
                   CASE WHEN n % 4 > 0 AND first.words ~ '^[a-z]+$' THEN first.words || '.'
                        WHEN n % 8 > 0 AND last.words ~ '^[a-z]+$' THEN last.words || '_' ELSE 'user' END || n AS username
            FROM generate_series(1, $5::int) AS n
            JOIN first ON first.number = 1 + abs(hashint4(n) % ${SLOTS})
            JOIN last ON last.number = 1 + abs(hashint4(-n) % ${SLOTS}))
     INSERT INTO users (id, username, username_key, display_name, search_words, deleted_at)
     SELECT gen_random_uuid(), username, username, name, username || string_to_array(words, ' '), CASE WHEN gone THEN now() END
     FROM named`,
    [names[0], words[0], names[1], words[1], size],
  );
  for (const table of ['users', 'name_prefixes']) await place.query(`VACUUM ANALYZE ${table}`);
}

/** Runs every kind of search this many times, as a statement and as a request; the kinds alternate. */
async function searchAll({ place, people: [reader] }, searches) {
  const node = await startNode(place);
  const db = new PrismaClient({ adapter: new PrismaPg({ connectionString: place.databaseUrl }) });
  const results = SEARCHES.map(() => ({ took: [], tookHttp: [], found: '' }));
  const find = (search, from) => findPeople(db, search, { size: 50, backward: false, from });
  const request = async (search, after) => (await ask(node.place, QUERY, { search, after }, reader.token)).users;
  for (let count = -20; count < searches; count += 1) {
    for (const [index, { search, second }] of SEARCHES.entries()) {
      const result = results[index];
      const from = second ? [(await find(search))[49].usernameKey] : undefined;
      const after = second ? (await request(search)).pageInfo.endCursor : undefined;
      const began = performance.now();
      await find(search, from);
      const between = performance.now();
      const { nodes, pageInfo } = await request(search, after);
      const ended = performance.now();
      result.found = `${nodes.length}${pageInfo.hasNextPage ? '+' : ''}`;
      if (count < 0) continue;
      result.took.push(between - began);
      result.tookHttp.push(ended - between);
    }
  }
  await db.$disconnect();
  await node.stop();
  return results.map(({ took, tookHttp, found }) => ({
    found,
    p50: median(took),
    p99: percentile(took, 0.99),
    http50: median(tookHttp),
    http99: percentile(tookHttp, 0.99),
  }));
}
