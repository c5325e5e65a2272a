import { caseKey } from '../domain/user/user.store.js';
import type { Db } from '../infra/database/database.js';
import type { Deps } from '../platform/deps.js';
import { DEMO_PASSWORD, type Language, people } from './people.js';

const languages: Record<Language, string> = {
  en: 'English',
  de: 'German',
  es: 'Spanish',
  fr: 'French',
  pt: 'Portuguese',
  tr: 'Turkish',
  ru: 'Russian',
  ar: 'Arabic',
  hi: 'Hindi',
  ja: 'Japanese',
  zh: 'Chinese',
};

/** The accounts that are shown: one per language. */
const shown = ['anna', 'james', 'mateo', 'chloe', 'beatriz', 'elif', 'dmitri', 'omar', 'priya', 'yuki', 'wei'];

/**
 * The text printed after the seed: how to sign in, what the database contains, and what to do next.
 * @param tookMs the duration of storing the demo; undefined if it was already stored.
 */
export async function describeDemo({ database, config }: Deps, tookMs: number | undefined): Promise<string> {
  const { db, mode } = database;
  const where = mode === 'embedded' ? `the embedded database in ${config.dataDir}` : 'the database of DATABASE_URL';
  const ours = people.map(({ username }) => caseKey(username));
  const inDemo = { memberships: { some: { user: { usernameKey: { in: ours } } } } };
  const [direct, groups, messages, statuses, users] = [
    await db.conversation.count({ where: { kind: 'DIRECT', ...inDemo } }),
    await db.conversation.count({ where: { kind: 'GROUP', ...inDemo } }),
    await db.message.count({ where: { conversation: inDemo } }),
    await countStatuses(db, ours),
    await db.user.findMany({
      where: { usernameKey: { in: shown } },
      select: { username: true, memberships: { select: { conversation: { select: { kind: true } } } } },
    }),
  ];
  const rows = shown.flatMap((username) => {
    const person = people.find((one) => one.username === username);
    const user = users.find((one) => one.username === username);
    if (!person || !user) return [];
    const groupCount = user.memberships.filter(({ conversation }) => conversation.kind === 'GROUP').length;
    const speaks = person.language === 'en' ? 'English' : `${languages[person.language]}, English`;
    return [[username, DEMO_PASSWORD, speaks, `${user.memberships.length - groupCount} direct, ${groupCount} groups`]];
  });
  return [
    tookMs === undefined
      ? `The demo data already exists in ${where}. Nothing was changed.`
      : `Demo data written to ${where} in ${(tookMs / 1_000).toFixed(1)} s.`,
    `${people.length} users, ${direct} direct conversations, ${groups} groups, ${messages} messages, ${statuses} statuses.`,
    '',
    ...table([['username', 'password', 'languages', 'conversations'], ...rows]),
    '',
    `All users have the password ${DEMO_PASSWORD}: ${people.map(({ username }) => username).join(', ')}.`,
    '',
    'Next steps:',
    mode === 'embedded' ? '  npm start' : '  npm start   (with the same DATABASE_URL)',
    ...(config.web ? [`  open http://${config.host}:${config.port} and sign in as anna with ${DEMO_PASSWORD}`] : []),
    `  with the API: open http://${config.host}:${config.port}/graphql and sign in:`,
    `    mutation { login(input: { usernameOrEmail: "anna", password: "${DEMO_PASSWORD}" }) { tokens { accessToken } } }`,
    '  then set this in Headers: { "authorization": "Bearer <accessToken>" }',
    '    { viewer { conversations { nodes { title counterpart { displayName } lastMessage { text } } } } }',
  ].join('\n');
}

/** How many statuses of these users can be seen. */
async function countStatuses(db: Db, usernameKeys: readonly string[]): Promise<number> {
  const [row] = await db.$queryRaw<[{ count: number }]>`
    SELECT count(*)::int AS count FROM statuses status JOIN users author ON author.id = status.author_id
    WHERE author.username_key = ANY (${[...usernameKeys]}) AND status.deleted_at IS NULL AND status.expires_at > clock_timestamp()`;
  return row.count;
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]?.map((_cell, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd());
}
