import { spawn } from 'node:child_process';
import { beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../src/app/config.js';
import { openDatabase } from '../src/infra/database/database.js';
import { createLog } from '../src/infra/telemetry/log.js';
import { composeDemo } from '../src/seed/compose.js';
import { parseScripts } from '../src/seed/read-scripts.js';
import { type Answer, ask, eventually, register, request } from './support/client.js';
import { nodeFlags } from './support/environment.js';
import { inOneMode, makePlace, modes, type Place, servicesFound } from './support/place.js';
import { openSse } from './support/sse.js';

/** The invariants of the services. Each query counts the rows that violate one. */
const invariants = {
  'seqs are 1 to latestSeq': `
    SELECT count(*) FROM conversations c
    LEFT JOIN (SELECT conversation_id, count(*) n, min(seq) lo, max(seq) hi FROM messages GROUP BY 1) m ON m.conversation_id = c.id
    WHERE c.latest_seq <> coalesce(m.n, 0) OR coalesce(m.hi, 0) <> c.latest_seq OR coalesce(m.lo, 1) <> 1`,
  'changes are 1 to changeSeq': `
    SELECT count(*) FROM conversations c
    LEFT JOIN (SELECT conversation_id, count(*) n, min(change_seq) lo, max(change_seq) hi FROM changes GROUP BY 1) x ON x.conversation_id = c.id
    WHERE x.n IS DISTINCT FROM c.change_seq OR x.hi <> c.change_seq OR x.lo <> 1`,
  'memberCount counts the members': `
    SELECT count(*) FROM conversations c
    WHERE member_count <> (SELECT count(*) FROM memberships p WHERE p.conversation_id = c.id)`,
  'lastActivityAt is that of the newest message': `
    SELECT count(*) FROM conversations c
    WHERE last_activity_at <> coalesce((SELECT max(created_at) FROM messages m WHERE m.conversation_id = c.id), c.created_at)`,
  'later seqs are later': `
    SELECT count(*) FROM (SELECT created_at <= lag(created_at) OVER (PARTITION BY conversation_id ORDER BY seq) bad FROM messages) t
    WHERE bad`,
  'every message was sent once, in the order of seqs': `
    SELECT count(*) FROM messages m
    LEFT JOIN (
      SELECT message_id, count(*) n, row_number() OVER (PARTITION BY conversation_id ORDER BY min(change_seq)) nth
      FROM changes WHERE type = 'MESSAGE_SENT' GROUP BY conversation_id, message_id
    ) x ON x.message_id = m.id
    WHERE x.n IS DISTINCT FROM 1 OR x.nth <> m.seq`,
  'edits and deletions have their change, and only what is deleted has no text': `
    SELECT count(*) FROM messages m
    WHERE (edited_at IS NOT NULL) <> EXISTS (SELECT FROM changes x WHERE x.message_id = m.id AND type = 'MESSAGE_EDITED')
       OR (deleted_at IS NOT NULL) <> EXISTS (SELECT FROM changes x WHERE x.message_id = m.id AND type = 'MESSAGE_DELETED')
       OR (deleted_at IS NOT NULL) <> (text IS NULL)`,
  'reactions are of members, counted, and each a change; answers are to what others said before': `
    SELECT (SELECT count(*) FROM reaction_groups g
            WHERE count <> (SELECT count(*) FROM reactions r WHERE r.message_id = g.message_id AND r.emoji = g.emoji))
         + (SELECT count(*) FROM reactions r JOIN messages m ON m.id = message_id
            WHERE m.deleted_at IS NOT NULL
               OR NOT EXISTS (SELECT FROM memberships p WHERE p.conversation_id = m.conversation_id AND p.user_id = r.user_id)
               OR NOT EXISTS (SELECT FROM changes x WHERE x.conversation_id = m.conversation_id AND x.change_seq = r.change_seq
                              AND x.message_id = m.id AND x.actor_id = r.user_id AND type = 'MESSAGE_REACTED'))
         + (SELECT count(*) FROM messages m JOIN messages q ON q.conversation_id = m.conversation_id AND q.seq = m.reply_to_seq
            WHERE q.seq >= m.seq OR q.sender_id = m.sender_id)
         + (SELECT count(*) FROM messages m
            WHERE (pinned_at IS NOT NULL) <> EXISTS (SELECT FROM changes x WHERE x.message_id = m.id AND type = 'MESSAGE_PINNED'))
      AS count`,
  'there is something of everything': `
    SELECT CASE WHEN (SELECT count(*) FROM reactions) > 200 AND (SELECT count(*) FROM status_views) > 10 AND count(pinned_at) > 3 AND count(reply_to_seq) > 50 THEN 0 ELSE 1 END
      AS count FROM messages`,
  'senders are members': `
    SELECT count(*) FROM messages m
    WHERE NOT EXISTS (SELECT FROM memberships p WHERE p.conversation_id = m.conversation_id AND p.user_id = m.sender_id)`,
  'a direct conversation is of its two': `
    SELECT count(*) FROM conversations c
    WHERE kind = 'DIRECT' AND (member_count <> 2 OR title IS NOT NULL OR direct_key IS DISTINCT FROM (
      SELECT string_agg(user_id::text, ':' ORDER BY user_id::text COLLATE "C") FROM memberships p WHERE p.conversation_id = c.id))`,
  'texts are as sendMessage stores them': String.raw`
    SELECT count(*) FROM messages
    WHERE text IS NOT NULL AND (text <> btrim(text, E' \n\t') OR text = '' OR length(text) > 8000 OR text ~ '[{}|⏎]|undefined')`,
  'users with a direct conversation are contacts of each other, and nobody else': `
    SELECT (SELECT count(*) FROM contacts c WHERE NOT EXISTS (
              SELECT FROM conversations d JOIN memberships o ON o.conversation_id = d.id AND o.user_id = c.owner_id
              JOIN memberships u ON u.conversation_id = d.id AND u.user_id = c.user_id WHERE d.kind = 'DIRECT'))
         + (SELECT abs((SELECT count(*) FROM contacts) - 2 * count(*)) FROM conversations WHERE kind = 'DIRECT') AS count`,
  'statuses have been posted, have not expired, and end a day later': `
    SELECT count(*) FROM statuses
    WHERE created_at > now() OR expires_at <= now() OR expires_at <> created_at + interval '24 hours'
       OR text IS NULL OR deleted_at IS NOT NULL`,
  'statuses are viewed by contacts, after they were posted': `
    SELECT count(*) FROM status_views v JOIN statuses s ON s.id = v.status_id
    WHERE v.viewed_at < s.created_at OR v.viewed_at > now() OR NOT v.is_reported
       OR NOT EXISTS (SELECT FROM contacts c WHERE c.owner_id = s.author_id AND c.user_id = v.viewer_id)`,
  'nothing is of tomorrow': `
    SELECT count(*) FROM messages WHERE greatest(created_at, edited_at, deleted_at) > now() OR edited_at < created_at OR deleted_at < created_at`,
};

const MESSAGES = 'SELECT count(*) FROM messages';
const STATUSES = 'SELECT count(*) FROM statuses';
const CONTACTS = 'SELECT count(*) FROM contacts';

const seed = (env: Record<string, string>) => run(['dist/seed.js'], env);

function run(command: string[], env: Record<string, string>): Promise<{ code: number | null; output: string }> {
  const { PATH = '' } = process.env;
  const child = spawn(process.execPath, [...nodeFlags, ...command], { env: { PATH, BCRYPT_COST: '4', ...env } });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve) => child.once('exit', (code) => resolve({ code, output })));
}

/** The count of each statement, in their order. */
async function countAll(place: Place, statements: readonly string[]): Promise<number[]> {
  const database = await openDatabase(readConfig(place.env), createLog('silent'));
  try {
    const counts: number[] = [];
    for (const sql of statements) {
      const [row] = await database.db.$queryRawUnsafe<{ count: bigint }[]>(sql);
      counts.push(Number(row?.count));
    }
    return counts;
  } finally {
    await database.close();
  }
}

const LOGIN_ANNA = `mutation { login(input: { usernameOrEmail: "anna", password: "parley-demo" }) {
  tokens { accessToken }
  viewer { syncCursor conversations { nodes { id viewerMembership { unreadCount } lastMessage { id seq text createdAt } } } }
} }`;

/** The number of rows and a digest of each table that is moved, without rows that a start or a stop writes. */
async function contentOf(place: Place): Promise<Map<string, unknown>> {
  const own = ['_prisma_migrations', 'epochs', 'changes', 'log_state', 'notifier_state'];
  const left = [...own, 'audit_entries', 'presences', 'sessions'];
  const database = await openDatabase(readConfig(place.env), createLog('silent'));
  try {
    const tables = await database.db.$queryRawUnsafe<{ name: string }[]>(
      `SELECT relname::text AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
       AND relname <> ALL (ARRAY['${left.join("','")}']) ORDER BY relname`,
    );
    const content = new Map<string, unknown>();
    for (const { name } of tables) {
      const [row] = await database.db.$queryRawUnsafe<unknown[]>(
        `SELECT count(*)::int AS count, md5(string_agg(t::text, '|' ORDER BY t::text COLLATE "C")) AS digest FROM "${name}" t`,
      );
      content.set(name, row);
    }
    return content;
  } finally {
    await database.close();
  }
}

describe.each(modes)('npm run seed in %s mode', (mode) => {
  let place: Place;
  beforeAll(async () => {
    place = await makePlace(mode);
    const { code, output } = await seed(place.env);
    expect(code, output).toBe(0);
    expect(output).toContain('parley-demo');
  });

  it('satisfies the invariants of the services', async () => {
    const names = Object.keys(invariants);
    const [messages, ...broken] = await countAll(place, [MESSAGES, ...Object.values(invariants)]);
    expect(Object.fromEntries(names.map((name, index) => [name, broken[index]]))).toEqual(
      Object.fromEntries(names.map((name) => [name, 0])),
    );
    expect(messages).toBeGreaterThan(2_000);
  });

  it('changes nothing when it is repeated, and reports that', async () => {
    const before = await countAll(place, [MESSAGES, STATUSES, CONTACTS]);
    const { code, output } = await seed(place.env);
    expect([code, output]).toEqual([0, expect.stringContaining('already')]);
    expect(await countAll(place, [MESSAGES, STATUSES, CONTACTS])).toEqual(before);
  });

  it('creates accounts that can sign in', async () => {
    const node = await place.start();
    const { login } = await ask(
      node.url,
      `mutation { login(input: { usernameOrEmail: "anna", password: "parley-demo" }) {
        viewer { conversations { nodes { lastMessage { text } } } statusFeed { statuses { text } hasUnviewed } }
      } }`,
    );
    expect(login.viewer.conversations.nodes.length).toBeGreaterThan(5);
    // She has contacts with statuses in other languages, some of which she has not viewed.
    const { statusFeed } = login.viewer;
    expect(statusFeed.length).toBeGreaterThan(5);
    expect(statusFeed.some(({ hasUnviewed }: { hasUnviewed: boolean }) => hasUnviewed)).toBe(true);
    expect(JSON.stringify(statusFeed)).toMatch(/\p{Script=Arabic}/u);
    await node.stop();
  });

  it.skipIf(mode !== 'embedded' || !servicesFound)(
    'creates data that can be moved to PostgreSQL completely',
    async () => {
      const old = await place.start();
      const { login } = await ask(old.url, LOGIN_ANNA);
      await old.stop();
      const target = await makePlace('postgresql', { migrated: false });
      const databaseUrl = target.env['DATABASE_URL'] ?? '';
      const move = () => run(['dist/move.js', databaseUrl], { DATA_DIR: place.env['DATA_DIR'] ?? '' });
      const moved = await move();
      expect(moved.code, moved.output).toBe(0);
      const before = await contentOf(place);
      expect(before.size).toBeGreaterThan(20);
      expect(await contentOf(target)).toEqual(before);

      const node = await target.start();
      const { viewer } = (await ask(node.url, LOGIN_ANNA)).login;
      expect(viewer.conversations).toEqual(login.viewer.conversations);
      // Cursors of the embedded database expire, so that no change is silently omitted.
      const { token } = { token: (await ask(node.url, LOGIN_ANNA)).login.tokens.accessToken };
      const events: Answer[] = [];
      const stream = await openSse(node.url, token, { after: login.viewer.syncCursor }, (event) => events.push(event));
      await eventually('the stream responds', () => events.length > 0);
      stream.cancel();
      expect(events[0]?.errors?.[0]?.extensions.code).toBe('CURSOR_EXPIRED');
      await node.stop();
      expect(await move()).toEqual({ code: 78, output: expect.stringMatching(/must be empty/) });
    },
  );

  inOneMode(mode, it)('changes nothing if one of the usernames exists', async () => {
    const other = await makePlace(mode);
    const node = await other.start();
    await register(node.url);
    const input = { username: 'Anna', email: 'anna@example.com', password: 'long enough' };
    await request(node.url, 'mutation ($input: RegisterInput!) { register(input: $input) { viewer { id } } }', {
      input,
    });
    await node.stop();
    const { code, output } = await seed(other.env);
    expect([code, output]).toEqual([1, expect.stringMatching(/Anna/i)]);
    expect(await countAll(other, ['SELECT count(*) FROM users', 'SELECT count(*) FROM conversations'])).toEqual([2, 0]);
  });
});

describe('the demo content', () => {
  it('is the same each time', () => {
    const now = new Date('2026-11-21T12:00:00Z');
    expect(composeDemo(now)).toEqual(composeDemo(now));
  });

  it('is read from files with topics, options, lines and variants', () => {
    const text =
      '# A comment.\n=== work\ntimes: 3\ncast: anna, james\nA: Is {thing} ready?\n~ 2h\nB: Yes: it is.\n---\nthing: the report\n---\nthing: a: b\n\n=== friends\nA: Hi.\n';
    expect(parseScripts(text)).toEqual([
      {
        about: 'work',
        times: 3,
        cast: ['anna', 'james'],
        lines: 'A: Is {thing} ready?\n~ 2h\nB: Yes: it is.\n',
        variants: [{ thing: 'the report' }, { thing: 'a: b' }],
      },
      { about: 'friends', lines: 'A: Hi.\n' },
    ]);
    expect(() => parseScripts('A: Hello.')).toThrow('Line 1 is not part of a script: A: Hello.');
    expect(() => parseScripts('=== work\nA: Hi.\n---\nno value')).toThrow('Line 4 is not part of a script: no value');
  });
});
